#!/bin/sh
# Makes localhost/base with buildah: Debian with Python and pip in /usr/local, where python:slim has them. For machines
# that reach Debian's mirrors and no registry of images. Needs root, buildah and debootstrap.
set -eu

if buildah inspect --type image localhost/base >/dev/null 2>&1; then
  exit
fi
container=$(buildah from scratch)
trap 'buildah rm "$container" >/dev/null' EXIT
root=$(buildah mount "$container")
debootstrap --variant=minbase --include=python3-venv,ca-certificates bookworm "$root" >&2
chroot "$root" python3 -m venv /usr/local
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"  # where the network has an authority of its own
(cd "$root" && rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/*.log usr/share/doc/* usr/share/man/* usr/share/locale/*)
buildah config --env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 --cmd python "$container"
buildah commit -q "$container" localhost/base >/dev/null
