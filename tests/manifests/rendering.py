"""Manifests as kustomize renders them."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.backends import missing

Document = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
KNATIVE = ROOT / "knative"
OVERLAYS = tuple(sorted(path.parent.name for path in KNATIVE.glob("overlays/[!.]*/kustomization.yaml")))
COMPONENTS = tuple(sorted(path.parent.name for path in KNATIVE.glob("components/*/kustomization.yaml")))
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Refused(Exception):
    """kustomize does not render this."""


@cache
def overlay(name: str) -> tuple[Document, ...]:
    """The objects of an overlay."""
    return render(KNATIVE / "overlays" / name)


@cache
def base_with(*components: str) -> tuple[Document, ...]:
    """The objects of the base with these components. Raises Refused."""
    with tempfile.TemporaryDirectory(dir=KNATIVE, prefix=".render.") as folder:  # kustomize wants relative paths
        kustomization = {"resources": ["../base"], "components": [f"../components/{name}" for name in components]}
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return render(Path(folder))


def render(folder: Path) -> tuple[Document, ...]:
    """The objects of a kustomization. Raises Refused."""
    ran = subprocess.run([*renderer(), str(folder)], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Refused(ran.stderr)
    return tuple(yaml.load_all(ran.stdout, LOADER))


def renderer() -> list[str]:
    """The command that renders a folder; without any the test is skipped, but in CI."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize") is None:
        missing("kubectl or kustomize")
    return ["kustomize", "build"]


def find(documents: Sequence[Document], kind: str, name: str) -> Document:
    """The one object of this kind and name; a Service is Knative's."""
    (found,) = (one for one in of_kind(documents, kind) if one["metadata"]["name"] == name)
    return found


def of_kind(documents: Sequence[Document], kind: str) -> list[Document]:
    """All objects of a kind; Services are Knative's."""
    return [one for one in documents if one["kind"] == kind and (kind != "Service" or one["apiVersion"] != "v1")]


def pods(documents: Sequence[Document]) -> Iterator[tuple[Document, Document]]:
    """Each object that makes pods, and their specification."""
    for document in documents:
        match document["kind"], document.get("spec", {}):
            case "CronJob", spec:
                yield document, spec["jobTemplate"]["spec"]["template"]["spec"]
            case _, {"template": template}:
                yield document, template["spec"]


def functions(documents: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """Each container that runs one of medley's own images, with the image's function."""
    for _, pod in pods(documents):
        for container in pod["containers"]:
            if container["image"].startswith("medley/"):
                yield container["image"].removeprefix("medley/"), container
