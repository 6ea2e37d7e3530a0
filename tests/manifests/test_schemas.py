"""The schemas refuse what a cluster would refuse or drop."""

import copy
from typing import Any

import pytest

from tests.manifests import schemas
from tests.manifests.rendering import base_with, find

ALL = ("redis", "broker-inmemory", "gateway", "weights", "network-policy")


def changed(kind: str, name: str, path: str, value: Any) -> dict[str, Any]:
    """An object of ours with one field more, or another value in it; numbers in the path are items."""
    document = copy.deepcopy(find(base_with(*ALL), kind, name))
    *way, last = path.split(".")
    place: Any = document
    for step in way:
        place = place[int(step)] if step.isdecimal() else place.setdefault(step, {})
    place[int(last) if last.isdecimal() else last] = value
    return document


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("Service", "upload", "spec.template.spec.containerConcurency", 1),
        ("Service", "upload", "spec.template.spec.containerConcurrency", "8"),
        ("Service", "upload", "spec.template.spec.containers.0.securityContext.runAsNonroot", True),
        ("Service", "upload", "spec.template.spec.volumes.0.emptydir", {}),
        ("Broker", "default", "spec.deliver", {}),
        ("Trigger", "callback", "spec.filters.0.exakt", {"type": "x"}),
        ("Trigger", "callback", "spec.subscriber.reff", {}),
        ("PingSource", "sweep", "spec.schedul", "* * * * *"),
        ("PingSource", "sweep", "spec.schedule", 5),
        ("Deployment", "gateway", "spec.template.spec.containers.0.livenessprobe", {}),
        ("Deployment", "gateway", "spec.replicas", "one"),
        ("StatefulSet", "redis", "spec.template.spec.container", []),
        ("CronJob", "weights", "spec.jobTemplate.spec.backofLimit", 2),
        ("NetworkPolicy", "stores", "spec.ingress.0.form", []),
        ("ConfigMap", "medley", "data.X", 1),
        ("ServiceAccount", "medley", "automount", False),
    ],
)
def test_a_field_that_is_not_there_or_of_another_type_is_told(kind: str, name: str, path: str, value: Any) -> None:
    assert schemas.problems(find(base_with(*ALL), kind, name)) == []
    assert schemas.problems(changed(kind, name, path, value))


def test_a_kind_that_nobody_knows_is_told() -> None:
    with pytest.raises(KeyError):
        schemas.problems({"apiVersion": "serving.knative.dev/v2", "kind": "Service"})


@pytest.mark.parametrize(
    ("path", "value", "flag"),
    [
        ("nodeSelector", {"gpu": "yes"}, "podspec-nodeselector"),
        ("tolerations", [{"key": "gpu"}], "podspec-tolerations"),
        ("affinity", {"nodeAffinity": {}}, "podspec-affinity"),
        ("runtimeClassName", "nvidia", "podspec-runtimeclassname"),
        ("securityContext", {"fsGroup": 1}, "podspec-securitycontext"),
        ("initContainers", [{"image": "x"}], "podspec-init-containers"),
        ("volumes.0", {"name": "tmp", "hostPath": {"path": "/"}}, "podspec-volumes-hostpath"),
        ("containers.0.securityContext.capabilities.add", ["SYS_PTRACE"], "containerspec-addcapabilities"),
        ("containers.0.env.0", {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "y"}}}, "podspec-fieldref"),
        (
            "volumes.0",
            {"name": "tmp", "persistentVolumeClaim": {"claimName": "x", "readOnly": False}},
            "podspec-persistent-volume-write",
        ),
    ],
)
def test_a_field_that_needs_a_flag_is_told(path: str, value: Any, flag: str) -> None:
    needed = schemas.flags(changed("Service", "upload", f"spec.template.spec.{path}", value))
    assert f"kubernetes.{flag}" in needed


def test_fields_that_need_none_are_left_alone() -> None:
    assert schemas.flags(find(base_with(), "Service", "separate")) == set()
    assert schemas.flags(changed("Service", "upload", "spec.template.spec.enableServiceLinks", False)) == set()
