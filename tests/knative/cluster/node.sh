#!/bin/bash
# Starts or stops the node: one tree of processes in namespaces and cgroups of its own. Its first process is init.sh, and
# with that all of it ends.
# usage: node.sh up|down
set -euo pipefail
. "$(dirname "$0")/settings.sh"

# Refuses addresses that lead somewhere already, and makes sure of the first thing: with the node down no packet to one of
# its addresses leaves this machine by the default route. These routes stay; they are gone with the next boot.
claim_addresses() {
  local range used
  for range in $node_range $pod_range $service_range; do
    used=$({ ip route show root "$range"; ip route show match "$range"; } | grep -Ev "^(default|unreachable)|dev $node" || true)
    [ -z "$used" ] || fail "the cluster needs the addresses $range, but this machine has the route: $used"
    ip route replace unreachable "$range" metric 4000
  done
}

cable() {
  ip netns add "$node"
  ip link add "$node" type veth peer name eth0 netns "$node"
  ip addr add "$HOST_IP/24" dev "$node"
  ip link set "$node" up
  ip -n "$node" link set lo up
  ip -n "$node" addr add "$node_ip/24" dev eth0
  ip -n "$node" link set eth0 up
  ip -n "$node" route add default via "$HOST_IP"  # the host forwards nothing: pods reach the host, and no further
  ip route add "$service_range" via "$node_ip"
  ip route add "$pod_range" via "$node_ip"
}

# The node's cgroups lie below those we run in, so that what limits us limits it. In the second version a group with processes
# can hand no controllers on, so there it is one below the root.
cgroups() {
  local _ controllers path
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo "/sys/fs/cgroup/$node"
    return
  fi
  while IFS=: read -r _ controllers path; do
    path=${path%/}
    [ -z "$controllers" ] || echo "/sys/fs/cgroup/${controllers#name=}$path/$node"
  done < /proc/self/cgroup
}

# Moves this process into them, and with it all it starts.
enter_cgroups() {
  local folder file
  cgroups > "$run/cgroups"
  while read -r folder; do
    [ ! -f "${folder%/*}/cgroup.subtree_control" ] || hand_on_controllers "${folder%/*}"
    mkdir -p "$folder"
    for file in cpuset.cpus cpuset.mems; do  # a new group of the first version has none, and lets nobody in
      [ ! -f "${folder%/*}/$file" ] || cat "${folder%/*}/$file" > "$folder/$file"
    done
    echo $BASHPID > "$folder/cgroup.procs"
  done < "$run/cgroups"
}

start() {
  down
  mkdir -p "$run" "$log" "$state"
  claim_addresses
  cable
  (
    enter_cgroups
    exec setsid ip netns exec "$node" unshare --mount --pid --uts --ipc --cgroup --fork --propagation private \
      "$here/init.sh" </dev/null >"$log/init.log" 2>&1
  ) &
}

up() {
  node_pid >/dev/null || start
  eventually 60 kubectl get --raw /readyz
  eventually 60 kubectl wait --for=condition=Ready "node/$node" --timeout=1s
}

# Also takes away what a node left behind that was killed.
down() {
  local pid folder
  if pid=$(node_pid); then
    kill -KILL "$pid"
    eventually 30 gone "$pid"
  fi
  ip link delete "$node" 2>/dev/null || true
  ip netns delete "$node" 2>/dev/null || true
  if [ -f "$run/cgroups" ]; then
    while read -r folder; do
      eventually 10 remove_cgroup "$folder"
    done < "$run/cgroups"
  fi
  rm -rf "$run"
}

gone() {
  [ ! -d "/proc/$1" ]
}

remove_cgroup() {
  [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +
}

"$1"
