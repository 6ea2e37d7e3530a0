#!/bin/bash
# Installs what a node is made of and has no Go module for us to build: Debian's packages.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

packages=(containerd runc containernetworking-plugins nftables iproute2 openssl buildah debootstrap)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || fail "this takes Debian or a child of it: there is no apt-get to install ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
