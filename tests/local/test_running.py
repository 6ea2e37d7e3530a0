"""Whoever starts `medley up` is ended by its terminal, or killed: the service ends in order with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medley.local import folder
from tests.e2e.harness import eventually

ROOT = Path(__file__).resolve().parents[2]
STARTS = """
import sys, time
from pathlib import Path
from medley.local.running import Local

with Local(Path(sys.argv[1]), models=["demucs_unittest"]):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_the_service_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """As a terminal does it, every process of the group gets the signal."""
    command = [sys.executable, "-c", STARTS, str(tmp_path)]
    starter = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True, text=True)
    assert starter.stdout
    with starter, starter.stdout as printed:
        assert printed.readline() == "ready\n"
        os.killpg(starter.pid, number)
        starter.wait()
    eventually(lambda: not (tmp_path / folder.RUN).exists())
    log = (tmp_path / folder.LOG).read_text()
    assert "ready to exit, bye bye" in log  # what valkey says when it has written everything
    assert "was ended by SIGKILL" not in log
