# What the scripts of this folder share: folders, addresses, what the node and its programs are called. To be sourced.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
cluster=$root/.cache/cluster
bin=$cluster/bin        # programs and images, which are kept
images=$cluster/images
state=$cluster/state    # what one cluster has stored; `make cluster-down` removes it
run=$cluster/run        # of the node that runs now
log=$cluster/log
export PATH=$bin:$PATH:/usr/sbin:/sbin KUBECONFIG=$cluster/kubeconfig

node=medley             # the node, its network namespace, the host's end of the cable to it
export HOST_IP=10.99.0.1  # what is in capitals, tests/knative/on_cluster reads too
node_ip=10.99.0.2
node_range=10.99.0.0/24
pod_range=10.244.0.0/24
service_range=10.96.0.0/16
apiserver_ip=10.96.0.1
export INGRESS_IP=10.96.0.80 INGRESS_LOCAL_IP=10.96.0.81
domain=example.com

fail() {
  echo "$*" >&2
  exit 1
}

# The first process of the node, as the host numbers it; fails if there is no such node. A number is used again by
# others, so it counts only while it is our own script.
node_pid() {
  local pid
  read -r pid 2>/dev/null < "$run/node.pid" && grep -qa "$here/init.sh" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

# Looks every 0.2 s for up to SECONDS whether COMMAND succeeds.
# usage: eventually SECONDS COMMAND...
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "not in time: $*" >&2; return 1; }
    sleep 0.2
  done
}

# Gives the groups below this one, of the second version of cgroups, all the controllers it has.
hand_on_controllers() {
  sed 's/[a-z_]\+/+&/g' "$1/cgroup.controllers" > "$1/cgroup.subtree_control"
}
