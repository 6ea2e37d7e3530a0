#!/bin/sh
# Writes the objects of an overlay, with the images of a registry, into a folder: one file each.
# usage: render.sh OVERLAY REGISTRY TAG FOLDER    (OVERLAY: a name in overlays/, or the path of one elsewhere)
set -eu
knative=$(cd "$(dirname "$0")" && pwd)
overlay=$1 registry=$2 tag=$3 folder=$4

case $overlay in
  */*) from=$(dirname "$overlay") ;;
  *) from=$knative/overlays ;;
esac
name=$(basename "$overlay")
test -f "$from/$name/kustomization.yaml" || {
  echo "no overlay $overlay; there are: $(ls "$knative/overlays" | tr '\n' ' ')" >&2
  exit 1
}
work=$(mktemp -d "$from/.render.XXXXXX")  # beside the overlay, because kustomize wants relative paths
trap 'rm -rf "$work"' EXIT
{
  echo "apiVersion: kustomize.config.k8s.io/v1beta1"
  echo "kind: Kustomization"
  echo "resources: [../$name]"
  echo "images:"
  for dockerfile in "$knative"/../functions/*/Dockerfile; do
    function=$(basename "$(dirname "$dockerfile")")
    echo "  - {name: medley/$function, newName: $registry/$function, newTag: \"$tag\"}"
  done
} > "$work/kustomization.yaml"

rm -rf "$folder"
mkdir -p "$folder"
if command -v kubectl >/dev/null; then
  kubectl kustomize "$work" -o "$folder"
else
  kustomize build "$work" -o "$folder"
fi
