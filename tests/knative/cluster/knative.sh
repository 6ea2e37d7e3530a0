#!/bin/bash
# Installs Knative Serving and Eventing from the YAML that lies in their Go modules, with the images that images.sh made,
# and the test ingress. Does nothing where the same is installed already.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
installed=$state/installed  # what was applied last

# The folder of the module that has this package.
folder() {
  go -C "$here/go/knative" list -f '{{.Module.Dir}}' "$1"
}
serving=$(folder knative.dev/serving/pkg/apis/serving)/config/core
eventing=$(folder knative.dev/eventing/pkg/apis/eventing)/config
networking=$(folder knative.dev/networking/pkg/apis/networking)/config
caching=$(folder knative.dev/caching/pkg/apis/caching)/config

# The objects of these files; ko:// is where Knative's own build puts its images in.
objects() {
  local file
  for file; do
    echo "---"
    cat "$file"
  done | sed -E 's#ko://knative.dev/(serving|eventing)/cmd/([a-z_]+/)?([a-z_]+)#dev.local/\1-\3:test#'
}

# Of a processor's time Knative asks for 1.4 cores, which leaves too little of two. Limits stay as they are.
modest() {
  sed '/requests:/,/limits:/ s/cpu: .*/cpu: 10m/'
}

apply() {
  kubectl apply --server-side --force-conflicts -f -
}

available() {
  kubectl -n "$1" wait --for=condition=Available deployment --all --timeout=240s
}

serving_definitions=("$serving"/300-resources/*.yaml "$caching/image.yaml"
  "$networking"/{certificate,domain-claim,ingress,serverlessservice}.yaml)
serving_settings=("$serving/100-namespace.yaml" "$serving/200-serviceaccount.yaml" "$serving"/200-roles/*.yaml
  "$serving"/configmaps/*.yaml "$networking/config-network.yaml")
serving_programs=("$serving"/deployments/{activator,autoscaler,controller,webhook}.yaml "$serving/999-cache.yaml"
  "$serving"/webhooks/*.yaml)
memory=$eventing/channels/in-memory-channel
eventing_definitions=("$eventing"/core/resources/*.yaml "$memory"/resources/*.yaml)
eventing_settings=("$eventing/core/100-namespace.yaml" "$eventing"/core/200-*.yaml "$eventing"/core/roles/*.yaml
  "$eventing"/core/configmaps/*.yaml "$eventing"/../third_party/eventing-integrations-latest/*-images.yaml
  "$memory"/200-*.yaml "$memory"/{configmaps,roles}/*.yaml "$eventing"/brokers/mt-channel-broker/roles/*.yaml)
eventing_programs=("$eventing"/core/deployments/{controller,job-sink,pingsource-mt-adapter,webhook}.yaml
  "$eventing"/core/webhooks/*.yaml "$memory"/{webhooks,deployments}/*.yaml
  "$eventing"/brokers/mt-channel-broker/deployments/{broker-filter,broker-ingress,controller}.yaml)

install() {
  objects "${serving_definitions[@]}" "${eventing_definitions[@]}" | apply
  kubectl wait --for=condition=Established crd --all --timeout=60s
  objects "${serving_settings[@]}" "${eventing_settings[@]}" | apply
  kubectl -n knative-serving patch configmap config-network --type merge \
    -p '{"data": {"ingress-class": "test.ingress.networking.knative.dev"}}'
  kubectl -n knative-serving patch configmap config-domain --type merge -p "{\"data\": {\"$domain\": \"\"}}"
  objects "${serving_programs[@]}" "${eventing_programs[@]}" | modest | apply
  sed "s/@INGRESS_IP@/$INGRESS_IP/; s/@INGRESS_LOCAL_IP@/$INGRESS_LOCAL_IP/" "$here/ingress.yaml" | apply
}

all=$({ objects "${serving_definitions[@]}" "${serving_settings[@]}" "${serving_programs[@]}" \
  "${eventing_definitions[@]}" "${eventing_settings[@]}" "${eventing_programs[@]}"; cat "$here/knative.sh" "$here/ingress.yaml"; } | sha256sum)
if [ "$all" != "$(cat "$installed" 2>/dev/null)" ]; then
  install
  echo "$all" > "$installed"
fi
for namespace in knative-serving knative-eventing test-ingress; do
  available $namespace
done
