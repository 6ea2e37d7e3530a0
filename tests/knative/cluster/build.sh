#!/bin/bash
# Builds every program of the cluster from its published Go module; the modules' versions are in go/*/go.mod. What has not
# changed since is not looked at again.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"
stamps=$bin/.built

# usage: build MODULE OUTPUT LDFLAGS PACKAGE...     OUTPUT is below bin; it ends with a slash if it is a folder
build() {
  local module=$1 output=$2 ldflags=$3 stamp
  shift 3
  cd "$here/go/$module"
  stamp=$({ go version; echo "$ldflags" "$@"; find . -type f -exec cat {} +; } | sha256sum)
  if [ "$stamp" != "$(cat "$stamps/${output//\//-}" 2>/dev/null)" ]; then
    go build -o "$bin/$output" -ldflags "-s -w $ldflags" "$@"
    echo "$stamp" > "$stamps/${output//\//-}"
  fi
}

kubernetes() {
  local programs=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl) version major minor set
  version=$(sed -n 's#^\s*k8s.io/kubernetes v\([0-9.]*\).*#\1#p' "$here/go/kubernetes/go.mod")
  IFS=. read -r major minor _ <<< "$version"
  # A Kubernetes that was not told its version says v0.0.0, and Knative refuses to run on that.
  set="-X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=$major"
  set+=" -X k8s.io/component-base/version.gitMinor=$minor -X k8s.io/client-go/pkg/version.gitVersion=v$version"
  build kubernetes kubernetes/ "$set" "${programs[@]/#/k8s.io/kubernetes/cmd/}"
  ln -sf kubernetes/kubectl "$bin/kubectl"
}

knative() {
  local serving=(activator autoscaler controller webhook queue)
  local eventing=(controller webhook mtchannel_broker mtping jobsink broker/ingress broker/filter
    in_memory/channel_controller in_memory/channel_dispatcher)
  build knative serving/ "" "${serving[@]/#/knative.dev/serving/cmd/}"
  build knative eventing/ "" "${eventing[@]/#/knative.dev/eventing/cmd/}"
  build knative test/ "" ./ingress ./pause knative.dev/serving/test/test_images/helloworld
}

command -v go >/dev/null || fail "Go is needed to build the cluster's programs: https://go.dev/dl"
mkdir -p "$stamps"
build etcd etcd "" go.etcd.io/etcd/server/v3
build coredns coredns "" github.com/coredns/coredns
build kn kn "" knative.dev/client/cmd/kn
kubernetes
knative
