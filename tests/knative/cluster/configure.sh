# Writes the configuration of the node's programs. Sourced by init.sh, in the node.
config=/run/config
mkdir -p $config/cni

echo "nameserver $node_ip" > $config/resolv.conf

cat > $config/containerd.toml <<END
version = 2
root = "/run/state/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "dev.local/test-pause:test"
  disable_apparmor = true
  restrict_oom_score_adj = true  # root may lack CAP_SYS_RESOURCE here
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$config/cni"
END

cat > $config/cni/$node.conflist <<END
{"cniVersion": "0.4.0", "name": "$node", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "isDefaultGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$pod_range"}]]}}]}
END

cat > $config/kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
clusterDNS: [$node_ip]
clusterDomain: cluster.local
resolvConf: $config/resolv.conf
imageGCHighThresholdPercent: 100  # there is no registry to fetch a removed image from
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
END

# Counts of connections are settings of the whole machine; 0 leaves them alone. Pods of one bridge answer each other past
# the node's address translation unless all goes by the node's own address.
cat > $config/kube-proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $KUBECONFIG}
mode: nftables
nftables: {masqueradeAll: true}
hostnameOverride: $node
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nodePortAddresses: ["$node_ip/32"]
END

cat > $config/Corefile <<END
.:53 {
  bind $node_ip
  errors
  kubernetes cluster.local {
    kubeconfig $KUBECONFIG $node
    ttl 5
  }
  cache 5
}
END
