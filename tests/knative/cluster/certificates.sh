#!/bin/bash
# Makes the cluster's own certificate authority, the API server's certificate, and a kubeconfig. Every program of the node is
# the administrator: enough for a test on one machine, and for nothing else.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
[ ! -f "$KUBECONFIG" ] || exit 0
umask 077
mkdir -p "$state/pki"
cd "$state/pki"

# usage: certificate NAME SUBJECT EXTENSIONS
certificate() {
  openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile <(echo "$3") -out "$1.crt"
}

openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=medley-test -keyout ca.key -out ca.crt
openssl genrsa -out accounts.key 2048
openssl rsa -in accounts.key -pubout -out accounts.pub
certificate apiserver /CN=kube-apiserver "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,\
DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$apiserver_ip,IP:$node_ip
extendedKeyUsage=serverAuth"
certificate admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth

data() {
  base64 -w0 < "$1"
}
cat > "$KUBECONFIG.new" <<END
apiVersion: v1
kind: Config
current-context: $node
clusters: [{name: $node, cluster: {server: "https://$node_ip:6443", certificate-authority-data: $(data ca.crt)}}]
users: [{name: admin, user: {client-certificate-data: $(data admin.crt), client-key-data: $(data admin.key)}}]
contexts: [{name: $node, context: {cluster: $node, user: admin}}]
END
mv "$KUBECONFIG.new" "$KUBECONFIG"
