"""How the compiled layers come to be there, and what is said where they are not."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from functions.separate import kernels
from functions.separate.engine import Engine
from functions.separate.kernels import build

LIKE = torch.empty(0)


@pytest.fixture
def sources(tmp_path: Path, compiled: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the kernels in which nothing is compiled yet."""
    folder = tmp_path / "kernels"
    shutil.copytree(build.HERE, folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    monkeypatch.setattr(build, "HERE", folder)
    kernels._library.cache_clear()
    yield folder
    kernels._library.cache_clear()


def test_they_are_compiled_by_a_package_alone(sources: Path) -> None:
    assert not kernels.there()
    (sources / "of_older_sources.so").touch()
    subprocess.run([sys.executable, str(sources / "build.py")], check=True)
    assert [path.name for path in sources.glob("*.so")] == [build.library().name]
    kernels._library.cache_clear()
    assert kernels.there()


def test_a_library_of_other_sources_is_not_loaded(sources: Path) -> None:
    build.library().write_bytes(b"")
    with (sources / "linear.cpp").open("a") as file:
        file.write("\n")
    assert not build.library().exists()
    assert not kernels.ready(LIKE)


def test_one_that_cannot_be_loaded_is_none(sources: Path) -> None:
    build.library().write_bytes(b"not a library")
    assert not kernels.ready(LIKE)


def test_it_is_told_where_they_are_not_compiled(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Engine("cpu")
    assert "layers are not compiled" in capsys.readouterr().err


def test_nothing_is_told_where_they_are_or_would_be_of_no_use(
    compiled: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Engine("cpu")
    monkeypatch.setattr(kernels, "AVX2_ALONE", False)
    Engine("cpu")
    assert "layers are not compiled" not in capsys.readouterr().err
