# Starts the programs that make a machine a node and the node a cluster. Sourced by init.sh, in the node.
pki=$state/pki
as_admin=(--kubeconfig="$KUBECONFIG" --authentication-kubeconfig="$KUBECONFIG" --authorization-kubeconfig="$KUBECONFIG"
  --leader-elect=false --bind-address=127.0.0.1)

# A node that was killed left word of itself: that it is ready, which pods run, who leads Knative's controllers. Believed, it
# would send requests to nobody for over a minute.
forget_before() {
  kubectl delete --ignore-not-found node $node
  kubectl delete pods --all --all-namespaces --force --grace-period=0
  kubectl delete leases --all --namespace=knative-serving
  kubectl delete leases --all --namespace=knative-eventing
}

# What the disk has not got yet is lost only when the machine itself goes down: no fsync, and a quick start.
keep etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn
keep containerd containerd --config $config/containerd.toml
keep kube-apiserver "$bin/kubernetes/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
  --advertise-address=$node_ip --secure-port=6443 --service-cluster-ip-range=$service_range --cert-dir=/run/kube-apiserver \
  --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$pki/accounts.pub" --service-account-signing-key-file="$pki/accounts.key" \
  --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
  --kubelet-preferred-address-types=InternalIP --authorization-mode=RBAC --allow-privileged=true

eventually 60 kubectl get --raw /readyz  # so that the others need not try again and again
forget_before
keep kube-controller-manager "$bin/kubernetes/kube-controller-manager" "${as_admin[@]}" --cert-dir=/run/kube-controller-manager \
  --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/accounts.key"
keep kube-scheduler "$bin/kubernetes/kube-scheduler" "${as_admin[@]}" --cert-dir=/run/kube-scheduler
keep kubelet "$bin/kubernetes/kubelet" --config=$config/kubelet.yaml --kubeconfig="$KUBECONFIG" --hostname-override=$node \
  --node-ip=$node_ip --root-dir=/run/state/kubelet --cert-dir=/run/kubelet
keep kube-proxy "$bin/kubernetes/kube-proxy" --config=$config/kube-proxy.yaml
keep coredns coredns -conf $config/Corefile
