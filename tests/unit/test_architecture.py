"""ARCHITECTURE.md is a map of what is there."""

import re
from pathlib import Path

import pytest

from medley import names

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "ARCHITECTURE.md").read_text()
TABLE = dict(re.findall(r"^\| ([^|`]+?) \| `([^`]+)` \|$", MAP, re.M))
# What somebody comes with, and the one file to open.
CHANGES = {
    "route": "medley/names.py",
    "event": "medley/names.py",
    "Redis key": "medley/names.py",
    "output format": "medley/output.py",
    "model": "medley/models.py",
    "object store": "medley/stores/objects.py",
}


def test_the_table_is_read() -> None:
    lines = [line for line in MAP.splitlines() if line.startswith("| ") and "`" in line]
    assert len(TABLE) == len(lines) >= 15


@pytest.mark.parametrize("change", TABLE)
def test_the_file_is_there(change: str) -> None:
    assert (ROOT / TABLE[change]).exists()


@pytest.mark.parametrize("change", CHANGES)
def test_the_table_names_the_file_for_it(change: str) -> None:
    assert CHANGES[change] in [path for told, path in TABLE.items() if re.search(rf"\b{change}\b", told)]


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:medley|functions|contract|knative|docs)/[^`<>]*)`", MAP)))
)
def test_every_path_in_the_text_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_no_function_is_left_out() -> None:
    for function in names.FUNCTIONS:
        assert re.search(rf"\b{function}\b", MAP)
        assert (ROOT / "functions" / function / "main.py").exists()
    assert {path.parent.name for path in (ROOT / "functions").glob("*/main.py")} == set(names.FUNCTIONS)


def test_the_environment_is_read_where_it_says() -> None:
    files = [path for folder in ("medley", "functions") for path in (ROOT / folder).rglob("*.py")]
    reading = [path for path in files if re.search(r"\bos\.(environ|getenv)\b", path.read_text())]
    told = {ROOT / path for path in re.findall(r"`(medley/[^`]+)`", MAP.partition("What the environment says")[2])}
    assert set(reading) == told
