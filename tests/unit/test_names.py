"""What is stored and sent is named in one place, and the environment is read in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from medley import names

ROOT = Path(__file__).resolve().parents[2]
NAMES, SETTINGS = Path("medley/names.py"), Path("medley/settings.py")
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("medley", "functions")
    for path in (ROOT / folder).rglob("*.py")
    if path.relative_to(ROOT) != NAMES and "client" not in path.parts  # that one knows only the contract
)
SCRIPTS = sorted(path.relative_to(ROOT) for path in (ROOT / "medley").rglob("*.lua"))
PASSES_ON = Path("medley/local")  # starts processes, which get its environment
UPLOAD = names.Upload("0" * 64, "1" * 32)

KEYS = {
    names.TO_WORKER,
    names.MARKER,
    names.SWEEP_CURSOR,
    *(f(":")[:-1] for f in (names.song_key, names.lease_key, names.worker_key, names.callback_key)),
}
WORDS = {names.CALLBACKS, names.OUTBOX, names.REMOVING, names.WORKERS, names.LOGGING}
FIELD = "callback:"  # of a job's record, which begins like the key of a callback
# What only names.py may say of an object: `callbacks/` and `parts/` are prefixes.
OBJECTS = {UPLOAD.manifest, UPLOAD.done, UPLOAD.mix_statistics("r")}
OBJECT_ENDS = {name.rpartition("/")[2] for name in OBJECTS}
EVENT = re.compile(r"dev\.(medley|knative)\.[a-z]+")


def texts(source: Path) -> Iterator[str]:
    """The texts in a source that it works with, which docstrings are not."""
    tree = ast.parse((ROOT / source).read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def reads_environment(source: Path) -> bool:
    tree = ast.parse((ROOT / source).read_text())
    read = {f"os.{name}" for name in ("environ", "environb", "getenv", "getenvb", "*")}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "os"]
    said = {f"os.{alias.name}" for node in imports for alias in node.names}
    said |= {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return bool(read & said)


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 50
    assert len(SCRIPTS) > 10
    assert {"song:", "lease:", "worker:", "callback:"} <= KEYS
    assert {"song.json", "done.json", "mix.json"} == OBJECT_ENDS


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_only_names_says_names(source: Path) -> None:
    for text in texts(source):
        assert not any(text.startswith(key) for key in KEYS - _meant(source)), text
        assert text not in WORDS - _meant(source)
        assert not any(text.endswith(end) for end in OBJECT_ENDS), text
        assert not EVENT.search(text), text


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_script_gets_its_keys(script: Path) -> None:
    code = "\n".join(line.partition("--")[0] for line in (ROOT / script).read_text().splitlines())
    for literal in re.findall(r"'([^']*)'|\"([^\"]*)\"", code):
        assert not any("".join(literal).startswith(key) for key in KEYS - {FIELD}), literal
    calls = re.findall(r"redis\.call\('(\w+)', ([^,)]+)", code)
    assert calls
    assert all(not key.startswith(("'", '"')) for _, key in calls)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_only_settings_reads_the_environment(source: Path) -> None:
    if source == SETTINGS or PASSES_ON in source.parents:
        return
    assert not reads_environment(source)


def test_settings_does() -> None:
    assert reads_environment(SETTINGS)


def _meant(source: Path) -> set[str]:
    """Words that are names in Redis, and in this source something else."""
    return {
        Path("functions/song/view.py"): {"callbacks"},
        Path("functions/song/main.py"): {"callbacks"},
        Path("functions/queue/main.py"): {"workers"},
    }.get(source, set())
