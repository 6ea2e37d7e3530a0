"""Manifests for the rows: knative/base as it is rendered, or Triggers of a row's own."""

import copy
from functools import cache
from typing import Any

from tests.manifests.rendering import KNATIVE, Document, find, of_kind, render

NAMESPACE = "medley"


@cache
def _base() -> tuple[Document, ...]:
    return render(KNATIVE / "base")


def base(delay: str = "") -> list[Document]:
    """knative/base; with another first back-off, if one is given, so that all retries fit into a test."""
    documents = copy.deepcopy(list(_base()))
    for trigger in of_kind(documents, "Trigger") if delay else ():
        trigger["spec"]["delivery"]["backoffDelay"] = delay
    return documents


def lab(*triggers: Document, service: dict[str, Any] | None = None, **delivery: Any) -> list[Document]:
    """The Broker of knative/base, with another delivery if one is given, these Triggers and their Services.

    `service` is the specification of a revision, e.g. containerConcurrency.
    """
    broker = copy.deepcopy(find(_base(), "Broker", "default"))
    broker["spec"] = {"delivery": delivery} if delivery else {}
    sinks = [trigger["spec"]["subscriber"] for trigger in triggers]
    sinks += [one["deadLetterSink"] for one in (delivery, *map(_delivery, triggers)) if "deadLetterSink" in one]
    names = {sink["ref"]["name"] for sink in sinks}
    return [broker, *triggers, *(_service(name, service or {}) for name in sorted(names))]


def trigger(subscriber: str, *types: str, path: str = "", **delivery: Any) -> Document:
    """A Trigger for these types, or all; `delivery` as in a manifest, `letters` names its dead letter sink."""
    specification: dict[str, Any] = {"broker": "default", "subscriber": reference(subscriber)}
    if path:
        specification["subscriber"]["uri"] = path
    if types:
        specification["filters"] = [{"any": [{"exact": {"type": name}} for name in types]}]
    if letters := delivery.pop("letters", None):
        delivery["deadLetterSink"] = reference(letters)
    if delivery:
        specification["delivery"] = delivery
    return _document("eventing.knative.dev/v1", "Trigger", subscriber, specification)


def reference(service: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": service}}


def _delivery(trigger: Document) -> dict[str, Any]:
    return dict(trigger["spec"].get("delivery", {}))


def _service(name: str, specification: dict[str, Any]) -> Document:
    template = {"spec": {**specification, "containers": [{"image": f"medley/{name}"}]}}
    return _document("serving.knative.dev/v1", "Service", name, {"template": template})


def _document(version: str, kind: str, name: str, specification: dict[str, Any]) -> Document:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": specification}
