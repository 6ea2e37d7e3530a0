"""Whoever starts `medley up` is ended by its terminal, or killed: the service ends in order with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medley.local import folder
from medley.local.folder import Trouble
from medley.local.process import forget_settings
from medley.local.running import Local
from tests.e2e.harness import eventually

ROOT = Path(__file__).resolve().parents[2]
STARTS = """
import signal, sys, time
from pathlib import Path
from medley.local.running import Local

# As in a terminal: what runs in the background, and so these tests maybe, ignores both from the start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with Local(Path(sys.argv[1]), models=["demucs_unittest"]):
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Trouble, match="cannot be written"):
        Local(tmp_path / "file" / "data").start()


def test_settings_are_forgotten_but_for_where_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "S3_ENDPOINT", "KEEP_DAYS", "MEDLEY_URL", "WEIGHTS_DIR"):
        monkeypatch.setenv(name, "there")
    forget_settings()
    left = {"REDIS_URL", "S3_ENDPOINT", "KEEP_DAYS", "MEDLEY_URL", "WEIGHTS_DIR"} & os.environ.keys()
    assert left == {"WEIGHTS_DIR"}


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", STARTS, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True, text=True) as process:
        yield process


def end(starter: subprocess.Popen[str], number: signal.Signals) -> None:
    """As a terminal does it: every process of the group gets the signal."""
    os.killpg(starter.pid, number)
    starter.wait()


def test_ctrl_c_at_its_start_ends_it(starter: subprocess.Popen[str], tmp_path: Path) -> None:
    eventually((tmp_path / folder.RUN).exists)
    end(starter, signal.SIGINT)
    assert starter.returncode == -signal.SIGINT, "it did not have to kill the service"
    assert not (tmp_path / folder.RUN).exists()


def test_a_terminal_that_is_closed_ends_the_service_itself_in_order(
    starter: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert starter.stdout
    assert starter.stdout.readline() == "ready\n"
    pid = folder.read_run(tmp_path)["pid"]
    for _ in range(2):  # a shell sends it to its jobs, and the kernel, when that has ended, once more
        os.kill(pid, signal.SIGHUP)
        time.sleep(0.1)
    eventually(lambda: not (tmp_path / folder.RUN).exists())
    assert "ready to exit, bye bye" in (tmp_path / folder.LOG).read_text()
    end(starter, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_the_service_ends_in_order(starter: subprocess.Popen[str], tmp_path: Path, number: signal.Signals) -> None:
    assert starter.stdout
    assert starter.stdout.readline() == "ready\n"
    end(starter, number)
    eventually(lambda: not (tmp_path / folder.RUN).exists())
    log = (tmp_path / folder.LOG).read_text()
    assert "ready to exit, bye bye" in log  # what valkey says when it has written everything
    assert "was ended by SIGKILL" not in log
