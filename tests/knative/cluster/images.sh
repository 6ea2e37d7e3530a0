#!/bin/bash
# Makes an image of each program that runs in a pod, dev.local/<folder>-<program>:test, and gives it to the node. Of a name
# below dev.local Knative asks no registry; the tag is not latest, which Kubernetes would always try to pull.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
mkdir -p "$images" "$state/imported"

builder() {
  buildah --storage-driver vfs --root "$cluster/buildah/store" --runroot "$cluster/buildah/run" "$@"
}

for program in "$bin"/{serving,eventing,test}/*; do
  folder=$(basename "$(dirname "$program")")
  name=$folder-$(basename "$program")
  archive=$images/$name.tar
  if [ ! "$archive" -nt "$program" ]; then
    builder build -q --isolation chroot -f "$here/Containerfile" -t "dev.local/$name:test" \
      --build-arg PROGRAM="$(basename "$program")" "$bin/$folder"
    rm -f "$archive"
    builder push -q "dev.local/$name:test" "docker-archive:$archive:dev.local/$name:test"
  fi
  if [ ! "$state/imported/$name" -nt "$archive" ]; then
    "$here/inside" ctr -n k8s.io images import "$archive"
    touch "$state/imported/$name"
  fi
done
rm -rf "$cluster/buildah"
