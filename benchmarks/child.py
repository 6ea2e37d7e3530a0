"""A process of one's own that answers questions, one JSON object a line."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.service import Process


@dataclass(frozen=True)
class Run:
    """What one piece of work took: seconds, seconds of processor time, MiB at most."""

    wall: float
    cpu: float
    peak: float


class Child:
    """`python -m <module>`, which calls `serve`."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", module, *arguments]
        values = {**os.environ, **(environment or {})}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=values, text=True)
        self.kernel = Process(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, **question: Any) -> Any:
        """The answer to a question. Raises RuntimeError when the process has ended instead."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        """The next answer: also of a process that is asked nothing."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return json.loads(line)

    def run(self, **question: Any) -> tuple[Run, Any]:
        """What a question took, and its answer."""
        self.kernel.begin_peak()
        cpu, begin = self.kernel.cpu(), time.perf_counter()
        answer = self.ask(**question)
        wall = time.perf_counter() - begin
        return Run(wall, self.kernel.cpu() - cpu, self.kernel.peak()), answer


def serve(answer: Callable[..., Any]) -> None:
    """Answers the questions on stdin, until there are no more; whatever else prints goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        out.write(json.dumps(answer(**json.loads(line))) + "\n")
        out.flush()


def once(command: list[str], environment: Mapping[str, str]) -> Run:
    """A command from its start to its end. Raises RuntimeError when it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}: {said[-2000:]}")
    return Run(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
