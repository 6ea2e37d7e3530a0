"""medley/errors.py says what every error is answered by."""

import ast
import re
from pathlib import Path

from medley import errors
from medley.errors import MedleyError

ROOT = Path(__file__).resolve().parents[2]
ERRORS = {
    name: error for name, error in vars(errors).items() if isinstance(error, type) and issubclass(error, MedleyError)
}
SOURCES = sorted(path for folder in ("medley", "functions") for path in (ROOT / folder).rglob("*.py"))


def test_none_stands_elsewhere() -> None:
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in SOURCES
        if path != Path(errors.__file__) and "client" not in path.parts  # that one knows only the contract
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in ERRORS for base in node.bases)
    ]
    assert elsewhere == []


def test_the_tree_shows_each_with_its_status() -> None:
    shown: dict[str, int] = {}
    for line in [line for line in str(errors.__doc__).splitlines() if "──" in line]:
        status = "0"
        for name, own in re.findall(r"(\w+)(?: (\d{3}))?", line):
            status = own or status  # those beside it have that of their parent
            shown[name] = int(status)
    assert shown == {name: error.status for name, error in ERRORS.items() if error is not MedleyError}
