#!/bin/bash
# Gives the cluster volumes, which are folders of this machine, and a storage class that is the default. A volume whose claim is
# gone is emptied and given again.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

for volume in $(kubectl get pv -o jsonpath='{.items[?(@.status.phase=="Released")].metadata.name}'); do
  kubectl delete pv "$volume"
  rm -rf "${state:?}/volumes/$volume"
done

{
  cat <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
END
  for volume in local-{1..8}; do
    mkdir -p "$state/volumes/$volume"
    cat <<END
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $volume}
spec:
  storageClassName: local
  capacity: {storage: 100Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {path: "$state/volumes/$volume"}
  nodeAffinity:
    required:
      nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]}]
END
  done
} | kubectl apply -f -
