#!/bin/bash
# The node's first process: mounts what a node expects, starts its programs, and starts again what ends. Runs in namespaces of
# its own; what it mounts, nobody else sees.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

read -r pid _ < /proc/self/stat  # /proc is the host's until the next line, and so is this number
mount -t proc proc /proc
hostname "$node"

mount_cgroups() {
  local folder controllers
  umount -l /sys/fs/cgroup 2>/dev/null || true
  if [ "$(wc -l < "$run/cgroups")" = 1 ]; then
    mount_second_version
    return
  fi
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  while IFS=: read -r _ controllers _; do
    [ -n "$controllers" ] || continue
    folder=/sys/fs/cgroup/${controllers#name=}
    mkdir "$folder"
    mount -t cgroup -o "$([[ $controllers = name=* ]] && echo "none,")$controllers" cgroup "$folder"
  done < /proc/self/cgroup
}

# A group that gives controllers to others must hold no process itself.
mount_second_version() {
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir /sys/fs/cgroup/init
  echo $$ > /sys/fs/cgroup/init/cgroup.procs
  hand_on_controllers /sys/fs/cgroup
}

mount_folders() {
  local folder
  mount -t tmpfs -o mode=755 run /run
  for folder in kubelet containerd; do
    mkdir -p "/run/state/$folder" "$state/$folder"
    mount --bind "$state/$folder" "/run/state/$folder"
    mount --make-rshared "/run/state/$folder"
  done
  mkdir -p "$state/log"
  mount --bind "$state/log" /var/log
}

# kubelet sets some values of the whole machine. It finds them as it wants them in files laid over them, and leaves the machine
# alone.
cover_sysctls() {
  local setting name
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1; do
    name=/run/sysctl/${setting%=*}
    mkdir -p "$(dirname "$name")"
    echo "${setting#*=}" > "$name"
    mount --bind "$name" "/proc/sys/${setting%=*}"
  done
}

# Runs a program for good, with its output in a log.
keep() {
  local name=$1
  shift
  while true; do
    "$@" >> "$log/$name.log" 2>&1 || true
    echo "--- $name ended at $(date +%T), and starts again" >> "$log/$name.log"
    sleep 2
  done &
}

mount_cgroups
mount_folders
cover_sysctls
echo 1 > /proc/sys/net/ipv4/ip_forward
ulimit -n "$(ulimit -Hn)"
echo "$pid" > "$run/node.pid"
. "$here/configure.sh"
. "$here/programs.sh"
wait
