"""The world of a cluster: a Broker and Triggers in a namespace of their own, the tests' servers outside of it."""

import copy
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from tests.knative.on_cluster.deployed import HOST, address
from tests.knative.on_cluster.kubectl import applied, kubectl
from tests.knative.on_cluster.running import Running, running
from tests.knative.place import Setting
from tests.manifests.rendering import Document, find, of_kind


class Cluster:
    name = "cluster"
    address = HOST

    @contextmanager
    def broker(self, documents: Sequence[Document], addresses: Mapping[str, str]) -> Iterator[str]:
        namespace = f"row-{uuid.uuid4().hex[:8]}"
        objects = [find(documents, "Broker", "default"), *of_kind(documents, "Trigger")]
        told = [_led(one, addresses) | {"metadata": _metadata(one, namespace)} for one in objects]
        with applied({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}):
            kubectl("apply", "-f", "-", given="\n---\n".join(map(json.dumps, told)), namespace=namespace)
            for one in told:
                if one["kind"] == "Broker" or _has_function(one):
                    what = f"{one['kind']}/{one['metadata']['name']}"
                    kubectl("wait", "--for=condition=Ready", "--timeout=60s", what, namespace=namespace)
            yield f"http://{address('broker-ingress', 'knative-eventing')}/{namespace}/default"

    def medley(self, setting: Setting) -> AbstractContextManager[Running]:
        return running(setting)


def _metadata(document: Document, namespace: str) -> Document:
    kept = ("name", "annotations", "labels")
    return {**{key: value for key, value in document["metadata"].items() if key in kept}, "namespace": namespace}


def _led(document: Document, addresses: Mapping[str, str]) -> Document:
    """The object with addresses in the place of the Services that it names, where there are any."""
    led = copy.deepcopy(document)
    specification = led["spec"]
    for owner, key in ((specification, "subscriber"), (specification.get("delivery", {}), "deadLetterSink")):
        name = owner.get(key, {}).get("ref", {}).get("name")
        if name in addresses:
            owner[key] = {"uri": addresses[name] + owner[key].get("uri", "")}
    return led


def _has_function(trigger: Document) -> bool:
    return "uri" in trigger["spec"]["subscriber"] and "ref" not in trigger["spec"]["subscriber"]
