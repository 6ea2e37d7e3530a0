"""PyTorch as a worker imports it, and made whole."""

import gc
import inspect
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

PATHS = """
import json
import os.path

asked, realpath = [], os.path.realpath
os.path.realpath = lambda path, **how: asked.append(path) or realpath(path, **how)
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


def test_no_paths_of_modules_are_resolved() -> None:
    counted = "print(json.dumps([len([path for path in asked if str(path).endswith('.py')])]))"
    (ordinary,), (quick,) = run(PATHS + ORDINARY + counted), run(PATHS + QUICK + counted)
    assert quick < ordinary / 2


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
    assert inspect.getmodule.__module__ == "inspect"


def test_who_asks_for_a_module_meanwhile_gets_it() -> None:
    here, nowhere = inspect.currentframe(), eval("frame()", {"frame": inspect.currentframe})
    asked = (here, fails, json, nowhere, 7)
    found = [inspect.getmodule(each) for each in asked]
    with quickly():
        assert [inspect.getmodule(each) for each in asked] == found == [sys.modules[__name__]] * 2 + [json, None, None]


def fails() -> None:
    with quickly():
        assert not gc.isenabled()
        raise ImportError
