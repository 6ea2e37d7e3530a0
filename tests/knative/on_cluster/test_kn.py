"""The way of `kn` in knative/README.md makes the same Services as `make deploy`."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from medley import names
from tests.knative.on_cluster.kubectl import Document, applied, get
from tests.manifests.rendering import KNATIVE, ROOT

NAMESPACE = "by-kn"
OVERLAY = "tests/knative/overlay"


def kn(*arguments: str, namespace: str = NAMESPACE) -> str:
    ran = subprocess.run(["kn", "-n", namespace, *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def meaning(one: Document) -> Document:
    """What an object asks for, without who asked and when."""
    return {"labels": one["metadata"].get("labels", {}), "spec": one["spec"]}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of `make manifests`, with the images that are deployed."""
    image = get("ksvc", "queue")["spec"]["template"]["spec"]["containers"][0]["image"]
    registry, _, tag = image.replace("/queue", "").rpartition(":")
    folder = tmp_path_factory.mktemp("kn") / "manifests"
    command = ["sh", str(KNATIVE / "render.sh"), OVERLAY, registry, tag, str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=60)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _namespace() -> Iterator[None]:
    with applied({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}):
        yield


def file(manifests: Path, function: str, namespace: str) -> Path:
    """The file of a function's Service, for a namespace."""
    path = manifests / f"serving.knative.dev_v1_service_{function}.yaml"
    document = yaml.safe_load(path.read_text())
    document["metadata"]["namespace"] = namespace
    copy = manifests.parent / f"{namespace}-{function}.yaml"
    copy.write_text(json.dumps(document))
    return copy


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_it_makes_the_same_service(manifests: Path, function: str) -> None:
    kn("service", "apply", function, "-f", str(file(manifests, function, NAMESPACE)), "--no-wait")
    made = meaning(get("ksvc", function, namespace=NAMESPACE))
    kn("service", "delete", function, "--no-wait")
    assert made == meaning(get("ksvc", function))


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_applied_over_it_it_changes_nothing(manifests: Path, function: str) -> None:
    before = meaning(get("ksvc", function)), get("ksvc", function)["metadata"]["generation"]
    kn("service", "apply", function, "-f", str(file(manifests, function, "medley")), namespace="medley")
    assert (meaning(get("ksvc", function)), get("ksvc", function)["metadata"]["generation"]) == before


def test_it_makes_the_same_ping_source(manifests: Path) -> None:
    (told,) = re.findall(r"^kn -n medley (source ping create .*)$", (KNATIVE / "README.md").read_text(), re.MULTILINE)
    kn("service", "apply", "sweep", "-f", str(file(manifests, "sweep", NAMESPACE)), "--no-wait")
    kn(*shlex.split(told))
    made, wanted = get("pingsource", "sweep", namespace=NAMESPACE), get("pingsource", "sweep")
    wanted["spec"]["sink"]["ref"]["namespace"] = NAMESPACE
    assert meaning(made) == meaning(wanted)
