#!/bin/bash
# Brings up a single-node Kubernetes with Knative Serving and Eventing and a test ingress on this machine, and medley on it.
# Each stage leaves alone what is there already, and puts right what a crash left behind.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

# usage: stage NAME SCRIPT [ARGUMENT...]
stage() {
  local start=$SECONDS name=$1 script=$2
  shift 2
  printf '%-36s' "$name"
  if ! "$here/$script" "$@" > "$log/$script.log" 2>&1; then
    printf 'failed. The end of %s:\n' "$log/$script.log"
    tail -n 20 "$log/$script.log"
    exit 1
  fi
  printf '%4d s\n' $((SECONDS - start))
}

[ "$(id -u)" = 0 ] || fail "make cluster needs root: it makes namespaces, cgroups and routes"
command -v go >/dev/null || fail "make cluster needs Go, to build Kubernetes and Knative: https://go.dev/dl"
mkdir -p "$log" "$state"
stage "Debian packages" packages.sh
stage "programs" build.sh
stage "certificates" certificates.sh
stage "node, Kubernetes" node.sh up
stage "images of the programs" images.sh
stage "volumes" volumes.sh
stage "Knative Serving, Eventing, ingress" knative.sh
stage "medley" medley.sh
echo
echo "  export KUBECONFIG=$KUBECONFIG PATH=$bin:\$PATH"
