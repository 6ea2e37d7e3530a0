"""The Dockerfiles, as far as they can be judged without building them."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from medley import names
from tests.manifests.rendering import ROOT

FUNCTIONS = ROOT / "functions"
LOCK = (ROOT / "requirements.lock").read_text()
TORCH = {"torch", "demucs"}


def dockerfile(function: str) -> str:
    return (FUNCTIONS / function / "Dockerfile").read_text()


def packages(file: Path) -> set[str]:
    return {line for line in file.read_text().splitlines() if line and line[0] != "#"}


def installed(function: str) -> set[str]:
    """The packages that the Dockerfile installs by name."""
    files = re.findall(r"^COPY (.*requirements.txt) ", dockerfile(function), re.MULTILINE)
    return {package for line in files for path in line.split()[-1:] for package in packages(ROOT / path)}


def normal(requirements: Iterable[str]) -> set[str]:
    return {name.replace("_", "-") for name in requirements}


def test_every_function_has_its_image() -> None:
    assert {path.parent.name for path in FUNCTIONS.glob("*/Dockerfile")} == set(names.FUNCTIONS)


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_an_image_is_nobodys_and_runs_its_function(function: str) -> None:
    lines = dockerfile(function).splitlines()
    assert lines[lines.index("USER 10001") :][-1] == f'CMD ["sh", "functions/start.sh", "{function}"]'
    assert f"COPY functions/{function} functions/{function}" in lines
    assert "ARG BASE=python:3.11-slim" in lines


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_all_packages_are_pinned_and_come_from_no_named_place(function: str) -> None:
    pinned = {line.split("==")[0] for line in LOCK.splitlines()}
    assert normal(installed(function)) <= pinned
    installs = re.findall(r"pip install.*", dockerfile(function))
    assert all("-c requirements.lock" in line for line in installs)
    assert "http" not in dockerfile(function)


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_only_separate_has_torch(function: str) -> None:
    assert (installed(function) >= TORCH) == (function == "separate")
    assert function == "separate" or not installed(function) & TORCH


def test_images_share_what_is_large_and_changes_least() -> None:
    """All are the same up to the packages that every function needs, and these come before the code."""
    heads = {dockerfile(name).partition("\n")[2].partition("RUN pip install")[0] for name in names.FUNCTIONS}
    assert len(heads) == 1
    for function in names.FUNCTIONS:
        assert "pip install" not in dockerfile(function).partition("COPY medley")[2]


def test_images_get_all_that_they_copy() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    for function in names.FUNCTIONS:
        for line in re.findall(r"^COPY (.*)", dockerfile(function), re.MULTILINE):
            sources = line.split()[:-1]
            assert {source.split("/")[0] for source in sources} <= allowed
            assert all((ROOT / source).exists() for source in sources)
