#!/bin/sh
# Makes the namespace medley, and in it the Secret medley-stores if there is none: new keys for the components redis and s3.
# Stores of your own are told in the environment: REDIS_URL; S3_ENDPOINT with S3_ACCESS_KEY and S3_SECRET_KEY.
set -eu

random() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

kubectl get namespace medley >/dev/null 2>&1 || kubectl create namespace medley
if kubectl -n medley get secret medley-stores >/dev/null 2>&1; then
  exit
fi
case ${REDIS_URL:-}${S3_ENDPOINT:-} in
  *//127.0.0.1* | *//localhost* | *@127.0.0.1* | *@localhost*)
    echo "REDIS_URL or S3_ENDPOINT in the environment is of this machine, where no pod finds it: unset them" >&2
    exit 1
    ;;
esac
password=$(random)
if [ -n "${S3_ENDPOINT:-}" ]; then
  : "${S3_ACCESS_KEY:?of $S3_ENDPOINT is wanted}" "${S3_SECRET_KEY:?of $S3_ENDPOINT is wanted}"
fi
kubectl -n medley create secret generic medley-stores --from-env-file=/dev/stdin <<END
REDIS_URL=${REDIS_URL:-redis://:$password@redis:6379/0}
REDIS_PASSWORD=$password
S3_ENDPOINT=${S3_ENDPOINT:-http://s3:8333}
S3_ACCESS_KEY=${S3_ACCESS_KEY:-$(random)}
S3_SECRET_KEY=${S3_SECRET_KEY:-$(random)}
END
