#!/bin/bash
# Stops the node and removes all that it has stored. The programs and their images are kept: `rm -rf .cache/cluster` after
# this removes them too.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
[ -d "$cluster" ] || exit 0
[ "$(id -u)" = 0 ] || fail "make cluster-down needs root, as make cluster did"

"$here/node.sh" down
rm -rf "$state" "$log" "$KUBECONFIG"
