"""PyTorch as a worker imports it, and made whole."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from functions.separate.importing import METAS, Deferred, quickly

ORDINARY = """
import torch
"""

QUICK = """
from functions.separate.importing import complete
from functions.separate.worker import _engine

_engine()
import torch
"""

COUNT = """
import json

def count():
    return len(torch._C._dispatch_get_registrations_for_dispatch_key("Meta"))

"""


def run(script: str) -> list[int]:
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", "DEVICE": "cpu"}
    told = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    found: list[int] = json.loads(told.stdout)
    return found


def test_what_compilers_need_is_registered_later() -> None:
    (ordinary,) = run(ORDINARY + COUNT + "print(json.dumps([count()]))")
    quick, whole, again = run(
        QUICK + COUNT + "print(json.dumps([count(), complete() or count(), complete() or count()]))"
    )
    assert quick < ordinary / 2  # else nothing is saved any more
    assert whole == again == ordinary


def test_whoever_looks_a_name_up_finds_it() -> None:
    looked = f"from {METAS} import cpp_meta_supports_symint_ops as found\nfound.add\n"
    before, after = run(QUICK + COUNT + f"before = count()\n{looked}print(json.dumps([before, count()]))")
    assert before < after


@pytest.mark.parametrize("wanted", [True, False])
def test_other_imports_are_ordinary_again(*, wanted: bool) -> None:
    collects = gc.isenabled()
    try:
        (gc.enable if wanted else gc.disable)()
        with pytest.raises(ImportError):
            fails()
        assert gc.isenabled() == wanted
    finally:
        (gc.enable if collects else gc.disable)()
    assert not any(isinstance(finder, Deferred) for finder in sys.meta_path)


def fails() -> None:
    with quickly():
        assert not gc.isenabled()
        raise ImportError
