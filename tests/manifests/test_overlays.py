"""Every overlay, and the base with every pair of components, as kustomize renders them."""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest

from medley import names
from medley.settings import Settings
from tests.manifests import schemas
from tests.manifests.rendering import (
    COMPONENTS,
    OVERLAYS,
    ROOT,
    Document,
    Refused,
    base_with,
    find,
    functions,
    of_kind,
    overlay,
    pods,
)
from tests.manifests.test_base import types_of

EITHER_OR = (("minio", "s3"), ("broker-inmemory", "broker-rabbitmq"))
PAIRS = [pair for pair in combinations(COMPONENTS, 2) if pair not in EITHER_OR]
WHOLE = [
    tuple(name for name in COMPONENTS if name not in (store, broker))
    for store in EITHER_OR[0]
    for broker in EITHER_OR[1]
]
MADE_ELSEWHERE = {"Secret": {"medley-stores", "medley-callback"}}
UNHEARD: set[str] = set()  # event types that no Trigger asks for
HOST = re.compile(r"^[^/]*[.:][^/]*/")  # of a registry


def wrong(documents: Sequence[Document]) -> list[str]:
    """All that is wrong with the objects of a deployment."""
    found = []
    for one in documents:
        about = f"{one['kind']} {one['metadata']['name']}"
        found += [f"{about}: {problem}" for problem in schemas.problems(one)]
        if one["metadata"].get("namespace") != "medley":
            found.append(f"{about}: not in the namespace medley")
    found += [f"{what} is nowhere" for what in sorted(dangling(documents))]
    found += [f"image {image} names a host" for image in images(documents) if HOST.match(image)]
    found += [f"{one['metadata']['name']}: {problem}" for one, pod in pods(documents) for problem in unsafe(pod)]
    return found


def dangling(documents: Sequence[Document]) -> set[str]:
    """References to objects that are not there."""
    there = {f"{one['kind']} {one['metadata']['name']}" for one in documents}
    there |= {f"{kind} {name}" for kind, names_ in MADE_ELSEWHERE.items() for name in names_}
    wanted = {what for _, pod in pods(documents) for what in references(pod)}
    wanted |= {f"Service {sink['name']}" for one in documents for sink in sinks(one)}
    return wanted - there


def references(value: Any) -> Iterator[str]:
    """ConfigMaps, Secrets, claims and accounts that a pod's specification names."""
    kinds = {"configMapRef": "ConfigMap", "configMap": "ConfigMap", "secretRef": "Secret", "secretKeyRef": "Secret"}
    if isinstance(value, dict):
        for key, child in value.items():
            if key in kinds:
                yield f"{kinds[key]} {child['name']}"
            elif key == "claimName":
                yield f"PersistentVolumeClaim {child}"
            elif key == "serviceAccountName":
                yield f"ServiceAccount {child}"
            else:
                yield from references(child)
    for child in value if isinstance(value, list) else []:
        yield from references(child)


def sinks(value: Any) -> Iterator[dict[str, str]]:
    """Services that events are sent to."""
    if isinstance(value, dict):
        if value.get("kind") == "Service" and set(value) == {"apiVersion", "kind", "name"}:
            yield value
        for child in value.values():
            yield from sinks(child)


def images(documents: Sequence[Document]) -> Iterator[str]:
    for _, pod in pods(documents):
        yield from (container["image"] for container in pod["containers"])


def unsafe(pod: Document) -> Iterator[str]:
    """What a pod may do that none of ours needs."""
    if pod.get("automountServiceAccountToken") is not False:
        yield "has a token of the cluster"
    for container in pod["containers"]:
        allowed = {**pod.get("securityContext", {}), **container["securityContext"]}
        safe = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True}
        yield from (f"{name} is not {value}" for name, value in safe.items() if allowed.get(name) is not value)
        if allowed["capabilities"] != {"drop": ["ALL"]} or allowed["seccompProfile"] != {"type": "RuntimeDefault"}:
            yield "keeps capabilities or all system calls"
        if not {"requests", "limits"} <= set(container["resources"]):
            yield "has no bounds"


def unknown_variables(documents: Sequence[Document]) -> set[str]:
    """Environment variables of medley's own containers which are no setting."""
    given = {entry["name"] for _, container in functions(documents) for entry in container.get("env", [])}
    return (given | set(find(documents, "ConfigMap", "medley")["data"])) - {
        name.upper() for name in Settings.__dataclass_fields__
    }


def heard(documents: Sequence[Document]) -> dict[str, list[str]]:
    """The types of events that come to each function, one as often as it comes."""
    found: dict[str, list[str]] = {}
    for trigger in of_kind(documents, "Trigger"):
        found.setdefault(trigger["spec"]["subscriber"]["ref"]["name"], []).extend(let_through(trigger["spec"]))
    return {function: sorted(types) for function, types in found.items()}


def let_through(specification: Document) -> list[str]:
    """The types that a Trigger lets through. Raises KeyError where it lets through all."""
    if "filters" in specification:
        return sorted(types_of(specification["filters"]))
    return [str(specification["filter"]["attributes"]["type"])]


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_right(name: str) -> None:
    assert wrong(overlay(name)) == []


@pytest.mark.parametrize("components", [*PAIRS, *WHOLE], ids="+".join)
def test_components_go_together(components: tuple[str, ...]) -> None:
    assert wrong(base_with(*components)) == []


def test_there_is_one_object_store() -> None:
    with pytest.raises(Refused, match="ID conflict"):
        base_with("minio", "s3")


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_event_is_in_the_contract_and_heard(name: str) -> None:
    contract = {path.name.removesuffix(".schema.json") for path in (ROOT / "contract/events").glob("*.schema.json")}
    types = {one for types in heard(overlay(name)).values() for one in types}
    assert types <= contract
    assert set(names.EVENTS) - types == UNHEARD
    assert contract == set(names.EVENTS)


def test_rabbitmqs_broker_lets_through_the_same_by_the_filters_that_it_knows() -> None:
    documents = base_with("broker-rabbitmq")
    assert heard(documents) == heard(base_with())
    assert not any("filters" in trigger["spec"] for trigger in of_kind(documents, "Trigger"))
    for trigger in of_kind(documents, "Trigger"):
        first = find(documents, "Trigger", trigger["spec"]["subscriber"]["ref"]["name"])
        same = ("broker", "subscriber", "delivery")
        assert {name: trigger["spec"][name] for name in same} == {name: first["spec"][name] for name in same}
        assert trigger["metadata"]["annotations"] == first["metadata"]["annotations"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_variable_is_a_setting(name: str) -> None:
    assert unknown_variables(overlay(name)) == set()


@pytest.mark.parametrize("name", OVERLAYS)
def test_as_many_songs_are_announced_as_can_be_worked_at(name: str) -> None:
    workers = find(overlay(name), "ConfigMap", "medley")["data"]["MAX_WORKERS"]
    service = find(overlay(name), "Service", "separate")["spec"]["template"]["metadata"]["annotations"]
    trigger = find(overlay(name), "Trigger", "separate")["metadata"].get("annotations", {})
    assert service["autoscaling.knative.dev/max-scale"] == workers
    assert trigger.get("rabbitmq.eventing.knative.dev/parallelism", workers) == workers


def test_many_gpus_are_more_than_one() -> None:
    assert int(find(overlay("many-gpus-rabbitmq"), "ConfigMap", "medley")["data"]["MAX_WORKERS"]) > 1


@pytest.mark.parametrize("name", OVERLAYS)
def test_secrets_are_only_referred_to(name: str) -> None:
    assert not of_kind(overlay(name), "Secret")
    data = find(overlay(name), "ConfigMap", "medley")["data"]
    assert not {"REDIS_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "CALLBACK_SECRET"} & set(data)
