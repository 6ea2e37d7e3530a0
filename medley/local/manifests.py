"""What `medley up` reads from knative/base: Services, Triggers, the Broker, PingSources."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from medley.local.filters import BadManifest, Filter, every, parse

TIMEOUT = 300.0  # s, Knative's default for timeoutSeconds
TIMEOUT_LIMIT = 600.0  # s, above it Knative refuses a revision
VISIBILITY = "networking.knative.dev/visibility"
SCALE = "autoscaling.knative.dev/"


@dataclass(frozen=True)
class Service:
    """One function. `concurrency` 0: not limited; `timeout` in s; `max_scale` 0: not limited."""

    name: str
    concurrency: int = 0
    timeout: float = TIMEOUT
    min_scale: int = 0
    max_scale: int = 0
    local: bool = False  # reached by events only
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sink:
    """Where an event goes: a Service, and the path there."""

    service: str
    path: str = "/"


@dataclass(frozen=True)
class Delivery:
    """How often and when an event is sent again. Times in s; `timeout` 0: as long as the function may take."""

    retry: int = 0
    policy: str = "exponential"
    delay: float = 0.0
    timeout: float = 0.0
    dead_letter: Sink | None = None

    def wait(self, attempt: int) -> float:
        """Seconds between attempt number `attempt`, counted from 0, and the next one: no limit and no jitter."""
        return self.delay * (2**attempt if self.policy == "exponential" else attempt)


@dataclass(frozen=True)
class Trigger:
    """Which events go to which function."""

    name: str
    subscriber: Sink
    matches: Filter
    delivery: Delivery = Delivery()


@dataclass(frozen=True)
class Ping:
    """A clock: an empty event to a function at the minutes of a cron schedule."""

    name: str
    schedule: str
    sink: Sink
    content_type: str = ""
    data: str = ""


@dataclass(frozen=True)
class Manifests:
    """All of a folder of manifests."""

    broker: str
    services: dict[str, Service]
    triggers: list[Trigger]
    pings: list[Ping]


def load(folder: Path) -> Manifests:
    """The manifests that the folder's kustomization.yaml lists. Raises BadManifest."""
    return read([document for file in _resources(folder) for document in _documents(file)])


def read(documents: list[dict[str, Any]]) -> Manifests:
    """Manifests from parsed YAML documents; kinds that nothing here needs are passed over. Raises BadManifest."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        kinds.setdefault(document.get("kind", ""), []).append(document)
    brokers = kinds.get("Broker", [])
    if len(brokers) != 1:
        raise BadManifest(f"one Broker is wanted, not {len(brokers)}")
    fallback = _delivery(brokers[0].get("spec", {}).get("delivery"), Delivery())
    services = [_service(document) for document in kinds.get("Service", []) if _of_knative(document)]
    manifests = Manifests(
        _name(brokers[0]),
        {service.name: service for service in services},
        [_trigger(document, fallback) for document in kinds.get("Trigger", [])],
        [_ping(document) for document in kinds.get("PingSource", [])],
    )
    _check(manifests)
    return manifests


def seconds(duration: str) -> float:
    """An ISO 8601 duration (PT0.5S, PT10M, P1DT2H) in seconds. Raises BadManifest."""
    found = _DURATION.fullmatch(str(duration))
    if not found or not any(found.groups()):
        raise BadManifest(f"{duration!r} is no ISO 8601 duration of days, hours, minutes and seconds")
    days, hours, minutes, rest = (float(group or 0) for group in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


_DURATION = re.compile(r"P(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?")


def _resources(folder: Path) -> list[Path]:
    try:
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    except OSError as error:
        raise BadManifest(f"no manifests in {folder}: {error.strerror}") from error
    return [folder / name for name in kustomization["resources"]]


def _documents(file: Path) -> list[dict[str, Any]]:
    try:
        return [document for document in yaml.safe_load_all(file.read_text()) if document]
    except (OSError, yaml.YAMLError) as error:
        raise BadManifest(f"{file}: {error}") from error


def _of_knative(document: dict[str, Any]) -> bool:
    return str(document.get("apiVersion", "")).startswith("serving.knative.dev/")


def _name(document: dict[str, Any]) -> str:
    return str(document["metadata"]["name"])


def _service(document: dict[str, Any]) -> Service:
    name, template = _name(document), document["spec"]["template"]
    annotations = template.get("metadata", {}).get("annotations", {})
    specification = template["spec"]
    timeout = float(specification.get("timeoutSeconds", TIMEOUT))
    if timeout > TIMEOUT_LIMIT:
        raise BadManifest(f"Service {name}: timeoutSeconds {timeout:g} is above {TIMEOUT_LIMIT:g}")
    return Service(
        name=name,
        concurrency=int(specification.get("containerConcurrency", 0)),
        timeout=timeout,
        min_scale=int(annotations.get(SCALE + "min-scale", 0)),
        max_scale=int(annotations.get(SCALE + "max-scale", 0)),
        local=document["metadata"].get("labels", {}).get(VISIBILITY) == "cluster-local",
        environment={
            item["name"]: str(item["value"])
            for item in specification["containers"][0].get("env", [])
            if "value" in item
        },
    )


def _trigger(document: dict[str, Any], fallback: Delivery) -> Trigger:
    name, specification = _name(document), document["spec"]
    where = f"Trigger {name}"
    items = specification.get("filters")
    if items is None:
        attributes = specification.get("filter", {}).get("attributes")
        items = [{"exact": attributes}] if attributes else []
    filters = [parse(item, f"{where}: filters[{index}]") for index, item in enumerate(items)]
    delivery = _delivery(specification.get("delivery"), fallback)
    return Trigger(name, _sink(specification["subscriber"], where), every(filters), delivery)


def _delivery(specification: dict[str, Any] | None, fallback: Delivery) -> Delivery:
    """A Trigger's own delivery replaces the Broker's whole; only the dead letter sink falls back."""
    if not specification:
        return fallback
    letter = specification.get("deadLetterSink")
    return Delivery(
        retry=int(specification.get("retry", 0)),
        policy=specification.get("backoffPolicy", "exponential"),
        delay=seconds(specification["backoffDelay"]) if "backoffDelay" in specification else 0.0,
        timeout=seconds(specification["timeout"]) if "timeout" in specification else 0.0,
        dead_letter=_sink(letter, "deadLetterSink") if letter else fallback.dead_letter,
    )


def _sink(specification: dict[str, Any], where: str) -> Sink:
    reference = specification.get("ref", {})
    if reference.get("kind") != "Service":
        raise BadManifest(f"{where}: only a ref to a Service can be followed here, not {specification!r}")
    return Sink(str(reference["name"]), str(specification.get("uri", "/")))


def _ping(document: dict[str, Any]) -> Ping:
    specification = document["spec"]
    return Ping(
        name=_name(document),
        schedule=str(specification["schedule"]),
        sink=_sink(specification["sink"], f"PingSource {_name(document)}"),
        content_type=str(specification.get("contentType", "")),
        data=str(specification.get("data", "")),
    )


def _check(manifests: Manifests) -> None:
    """Every sink is a Service that is there."""
    sinks = [(f"Trigger {trigger.name}", trigger.subscriber) for trigger in manifests.triggers]
    sinks += [
        (f"Trigger {trigger.name}", sink) for trigger in manifests.triggers if (sink := trigger.delivery.dead_letter)
    ]
    sinks += [(f"PingSource {ping.name}", ping.sink) for ping in manifests.pings]
    for where, sink in sinks:
        if sink.service not in manifests.services:
            raise BadManifest(f"{where}: there is no Service {sink.service!r}")
