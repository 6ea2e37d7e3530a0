"""knative/base: complete, and in step with the code and the contract."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from medley import names
from medley.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "knative" / "base"
IMAGE_ENVIRONMENT = {"HOME"}  # of the process itself, no setting of medley's


def documents() -> list[dict[str, Any]]:
    found = []
    for path in sorted(BASE.glob("*.yaml")):
        found += [document for document in yaml.safe_load_all(path.read_text()) if document]
    return found


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for document in documents() if document["kind"] == kind]


def types_of(filters: Any) -> set[str]:
    """Every event type that a Trigger's filters name."""
    if isinstance(filters, dict):
        own = {filters["exact"]["type"]} if "exact" in filters else set()
        return own.union(*(types_of(value) for name, value in filters.items() if name != "exact"))
    return set().union(*(types_of(value) for value in filters)) if isinstance(filters, list) else set()


def environment() -> set[str]:
    """Every environment variable that a manifest sets."""
    found: set[str] = set()
    for service in of_kind("Service"):
        for container in service["spec"]["template"]["spec"]["containers"]:
            found |= {entry["name"] for entry in container.get("env", [])}
    for config in of_kind("ConfigMap"):
        found |= set(config.get("data", {}))
    return found


def test_every_function_is_one_service_and_one_file() -> None:
    assert {service["metadata"]["name"] for service in of_kind("Service")} == set(names.FUNCTIONS)
    assert {path.stem for path in BASE.glob("*.yaml")} >= set(names.FUNCTIONS)


def test_every_file_is_in_the_kustomization() -> None:
    listed = set(yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}


def test_every_event_has_a_trigger_and_every_trigger_an_event() -> None:
    heard = set().union(*(types_of(trigger["spec"]["filters"]) for trigger in of_kind("Trigger")))
    assert heard == set(names.EVENTS)


@pytest.mark.parametrize("trigger", of_kind("Trigger"), ids=lambda trigger: trigger["metadata"]["name"])
def test_a_trigger_says_all_about_its_delivery(trigger: dict[str, Any]) -> None:
    # It replaces the Broker's whole; `retry` without a back-off would be a hot loop.
    assert set(trigger["spec"]["delivery"]) == {"retry", "backoffPolicy", "backoffDelay", "timeout", "deadLetterSink"}
    assert trigger["spec"]["subscriber"]["ref"]["name"] in names.FUNCTIONS


@pytest.mark.parametrize("service", of_kind("Service"), ids=lambda service: service["metadata"]["name"])
def test_only_functions_with_a_route_can_be_reached_from_outside(service: dict[str, Any]) -> None:
    visibility = service["metadata"].get("labels", {}).get("networking.knative.dev/visibility")
    assert (visibility != "cluster-local") == (service["metadata"]["name"] in names.ROUTES.values())


@pytest.mark.parametrize("service", of_kind("Service"), ids=lambda service: service["metadata"]["name"])
def test_a_service_has_bounds(service: dict[str, Any]) -> None:
    spec, scale = service["spec"]["template"]["spec"], service["spec"]["template"]["metadata"]["annotations"]
    assert 0 < spec["timeoutSeconds"] <= 600  # Knative refuses more
    assert scale["autoscaling.knative.dev/min-scale"] == "0"
    assert int(scale["autoscaling.knative.dev/max-scale"]) > 0
    (container,) = spec["containers"]
    (threads,) = (int(entry["value"]) for entry in container["env"] if entry["name"] == "THREADS")
    assert threads > spec["containerConcurrency"] > 0  # probes need some too
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("service", of_kind("Service"), ids=lambda service: service["metadata"]["name"])
def test_an_outage_of_the_stores_ends_no_pod(service: dict[str, Any]) -> None:
    (container,) = service["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    if service["metadata"]["name"] == "separate":
        assert "livenessProbe" not in container  # a song may keep the process busy
    else:
        assert container["livenessProbe"]["httpGet"]["path"] == "/"


@pytest.mark.parametrize("service", of_kind("Service"), ids=lambda service: service["metadata"]["name"])
def test_all_that_a_function_writes_has_a_place(service: dict[str, Any]) -> None:
    spec = service["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    (volume,) = (one for one in spec["volumes"] if one["name"] == "tmp")
    assert volume["emptyDir"]["sizeLimit"]


def test_every_variable_in_a_manifest_is_a_setting() -> None:
    known = {name.upper() for name in Settings.__dataclass_fields__}
    assert environment() - known <= IMAGE_ENVIRONMENT
