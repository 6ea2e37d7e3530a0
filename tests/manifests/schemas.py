"""Schemas of everything that a manifest may hold, out of the Go modules that publish them."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.backends import missing

Schema = dict[str, Any]

SERVING, EVENTING = "knative.dev/serving@v0.49.1", "knative.dev/eventing@v0.49.2"
KUBERNETES, GATEWAY = "k8s.io/client-go@v0.34.10", "sigs.k8s.io/gateway-api@v1.3.0"
DEFINITIONS = {
    ("serving.knative.dev/v1", "Service"): (SERVING, "config/core/300-resources/service.yaml"),
    ("eventing.knative.dev/v1", "Broker"): (EVENTING, "config/core/resources/broker.yaml"),
    ("eventing.knative.dev/v1", "Trigger"): (EVENTING, "config/core/resources/trigger.yaml"),
    ("sources.knative.dev/v1", "PingSource"): (EVENTING, "config/core/resources/pingsource.yaml"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): (
        GATEWAY,
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
}
UNPUBLISHED = {("rabbitmq.com/v1beta1", "RabbitmqCluster"), ("eventing.knative.dev/v1alpha1", "RabbitmqBrokerConfig")}
BUILT_IN = {  # API groups, in the names of Kubernetes' own types
    "v1": "core.v1", "apps/v1": "apps.v1", "batch/v1": "batch.v1", "networking.k8s.io/v1": "networking.v1",
}  # fmt: skip
FLAG = re.compile(r"accessible behind a feature flag - (\S+)")
ON = {"kubernetes.podspec-volumes-emptydir"}  # flags that are on unless an operator takes them away
SCALARS: dict[str, Schema] = {
    "string": {"type": ["string", "null"]},
    "boolean": {"type": "boolean"},
    "numeric": {"type": "number"},
    "untyped": {"type": ["string", "number", "boolean", "null"]},
}


@cache
def module(name: str) -> Path:
    """The folder of a Go module, `path@version`."""
    if shutil.which("go") is None:
        missing("Go")
    command = ["go", "mod", "download", "-json", name]
    got = subprocess.run(command, cwd=tempfile.gettempdir(), capture_output=True, text=True, check=False)
    if got.returncode:
        missing(f"the Go module {name}")
    return Path(json.loads(got.stdout)["Dir"])


def problems(document: dict[str, Any]) -> list[str]:
    """What is wrong with an object. Fields that its kind does not have are wrong."""
    kind = (document["apiVersion"], document["kind"])
    if kind in UNPUBLISHED:
        return []
    found = jsonschema.Draft202012Validator(of(*kind)).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in found]


@cache
def of(version: str, kind: str) -> Schema:
    """The strict JSON Schema of a kind. Raises KeyError for one that nobody here has."""
    if version in BUILT_IN:
        types = built_in()
        return {"$ref": f"#/$defs/io.k8s.api.{BUILT_IN[version]}.{kind}", "$defs": types}
    return strict(definition(version, kind))


@cache
def definition(version: str, kind: str) -> Schema:
    """The openAPIV3Schema of a custom resource."""
    name, file = DEFINITIONS[version, kind]
    crd = yaml.safe_load((module(name) / file).read_text())
    (served,) = (one for one in crd["spec"]["versions"] if one["name"] == version.rpartition("/")[2])
    schema: Schema = served["schema"]["openAPIV3Schema"]
    kept = {"apiVersion", "kind", "metadata"}
    schema["properties"] = {**{name: {} for name in kept}, **schema["properties"]}
    return schema


def strict(schema: Any) -> Any:
    """A copy of a Kubernetes schema that refuses unknown fields where the API server would drop them."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: strict(value) for name, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string") is True:
        copy.pop("type", None)
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_ended:
        copy["additionalProperties"] = False
    return copy


@cache
def built_in() -> dict[str, Schema]:
    """Kubernetes' own types by name, from the schema that its Go client carries for server-side apply."""
    source = (module(KUBERNETES) / "applyconfigurations/internal/internal.go").read_text()
    text = source.partition("typed.YAMLObject(`")[2].partition("`)")[0]
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {one["name"]: _converted(one) for one in yaml.load(text, loader)["types"]}


def _converted(one: dict[str, Any]) -> Schema:
    """A type of structured merge diff as JSON Schema."""
    if "namedType" in one:
        return {"$ref": f"#/$defs/{one['namedType']}"}
    if "list" in one:
        return {"type": ["array", "null"], "items": _converted(one["list"]["elementType"])}
    if "map" in one and "fields" in one["map"]:
        fields = {field["name"]: _converted(field["type"]) for field in one["map"]["fields"]}
        return {"type": ["object", "null"], "properties": fields, "additionalProperties": False}
    if "map" in one and "scalar" not in one:
        return {"type": ["object", "null"], "additionalProperties": _converted(one["map"]["elementType"])}
    return SCALARS[one["scalar"]]


def flags(document: dict[str, Any]) -> set[str]:
    """The feature flags of Knative without which it refuses a Service."""
    kind = (document["apiVersion"], document["kind"])
    if kind != ("serving.knative.dev/v1", "Service"):
        return set()
    needed = set(_flags(document, definition(*kind))) - ON
    for volume in document["spec"]["template"]["spec"].get("volumes", []):
        if "persistentVolumeClaim" in volume and not volume["persistentVolumeClaim"].get("readOnly"):
            needed.add("kubernetes.podspec-persistent-volume-write")  # the schema does not tell
    return needed


def _flags(value: Any, schema: Schema) -> Iterator[str]:
    """Schemas say of a field, or of the items in it, which flag it needs."""
    if isinstance(value, dict):
        for name, child in value.items():
            if field := schema.get("properties", {}).get(name):
                yield from FLAG.findall(" ".join(field.get("description", "").split()))
                yield from _flags(child, field)
    for item in value if isinstance(value, list) else []:
        yield from FLAG.findall(schema.get("items", {}).get("description", ""))
        yield from _flags(item, schema.get("items", {}))
