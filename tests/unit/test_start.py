"""functions/start.sh, as process 1 of a container: here of a namespace of its own, with something else for Python."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends import missing
from tests.e2e.harness import eventually

START = Path(__file__).resolve().parents[2] / "functions" / "start.sh"
DEAF = "exec sleep 60"  # as process 1 it would not be ended by SIGTERM: it has no handler
GRACEFUL = "trap 'sleep 0.3; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
Started = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    processes: list[subprocess.Popen[str]] = []

    def start(python: str) -> subprocess.Popen[str]:
        (tmp_path / "python").write_text(f"#!/bin/sh\necho starting $*\n{python}\n")
        (tmp_path / "python").chmod(0o755)
        apart = ["unshare", "--pid", "--fork", "--kill-child"] + (["--map-root-user"] if os.geteuid() else [])
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        # What is ignored from the start, as SIGINT is in the background, a shell cannot be told to obey.
        shell = ["env", "--default-signal=INT", "sh", START, "queue"]
        process = subprocess.Popen([*apart, *shell], stdout=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != "starting -m medley.serve queue\n":
            missing("a namespace of processes")
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def tell(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> None:
    """A signal to the shell."""
    os.kill(int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_while_python_has_no_handler_yet(started: Started, number: int) -> None:
    process = started(DEAF)
    tell(process, number)
    assert process.wait(10) == 128 + signal.SIGTERM


def test_it_waits_for_what_is_in_work_however_often_it_is_told(started: Started) -> None:
    process = started(GRACEFUL)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    tell(process)
    tell(process)
    assert process.wait(10) == 3


def test_it_ends_as_python_does(started: Started) -> None:
    process = started("exit 7")
    eventually(lambda: process.poll() is not None)
    assert process.returncode == 7


def test_it_ends_as_python_does_also_before_it_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "slow.sh").write_text(START.read_text().replace("\n[ -z", "\nsleep 0.3\n[ -z"))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert "sleep" in (tmp_path / "slow.sh").read_text()
    assert subprocess.run(["sh", tmp_path / "slow.sh", "queue"], env=environment, check=False).returncode == 7
