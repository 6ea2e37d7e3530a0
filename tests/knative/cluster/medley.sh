#!/bin/bash
# Builds medley's images, gives them to the node, and deploys medley as an operator does, with the overlay for this cluster.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
cd "$root"

tag=$(sh tests/knative/images.sh "$here/inside" ctr)
make deploy OVERLAY=tests/knative/overlay REGISTRY=dev.local TAG="$tag"
