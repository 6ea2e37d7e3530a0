#!/bin/sh
# Builds every image that runs on the test cluster, by the Dockerfiles and `make images`, and brings those that are new into
# its containerd. Prints the functions' tag. Needs root, buildah and debootstrap; what was built before is not built again.
# usage: images.sh CTR...     the command that reaches that containerd
set -eu
cd "$(dirname "$0")/../.."
export BUILDAH_ISOLATION=chroot BUILDAH_LAYERS=true

tag=$(make -s --no-print-directory tag)

sh tests/knative/images/base.sh >&2
make -s images BUILDER=buildah BASE=localhost/base REGISTRY=dev.local >&2
for store in valkey seaweedfs nginx; do
  buildah build -f tests/knative/images/$store.Dockerfile --build-arg BASE=localhost/base -t dev.local/$store:test . >&2
done

there=$("$@" -n k8s.io images ls -q | grep ":$tag$" || true)
for image in $(buildah images --format '{{.Name}}:{{.Tag}}' | grep -E "^dev.local/.*:($tag|test)$"); do
  echo "$there" | grep -qx "$image" ||
    buildah push -q "$image" "docker-archive:/dev/stdout:$image" | "$@" -n k8s.io images import - >&2
done
echo "$tag"
