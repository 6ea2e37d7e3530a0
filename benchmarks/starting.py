"""How long a function's process takes from its start until it says that it is ready."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.service import Process, Service, worker
from medley.local import ports

FUNCTIONS = ("upload", "queue", "song", "fetch", "delete")
LIMIT = 20.0  # s
AGAIN = 0.005  # s between two looks


def measure(service: Service, rounds: int) -> dict[str, Any]:
    """Medians in seconds, the functions in turns."""
    times: dict[str, list[float]] = {function: [] for function in FUNCTIONS}
    for _ in range(rounds):
        for function in FUNCTIONS:
            times[function].append(_start(service, function))
    return {
        function: {"ready_s": round(median(found), 3), "all": [round(value, 3) for value in found]}
        for function, found in times.items()
    }


def _start(service: Service, function: str) -> float:
    with started(service, function) as (_, _, seconds):
        return seconds


@contextmanager
def started(service: Service, function: str) -> Iterator[tuple[int, Process, float]]:
    """One more process of a function: its port, the process that answers, and the seconds until it was ready."""
    (port,) = ports.free(1)
    own = {"HOST": "127.0.0.1", "PORT": str(port)}
    environment = {**os.environ, "LOG_LEVEL": "error", **service.environment, **own}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "medley.serve", function], env=environment)
    try:
        wait_until_ready(function, port, process)
        yield port, worker(process.pid), time.perf_counter() - start
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(function: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    """Raises RuntimeError when it ends instead."""
    start = time.perf_counter()
    while not _ready(port):
        if time.perf_counter() - start > LIMIT or process.poll() is not None:
            raise RuntimeError(f"{function} does not get ready")
        time.sleep(AGAIN)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured, how much it is, and what it is to be."""
    return [(f"{name}, start to ready", f"{one['ready_s']:.2f} s", "at most 0.6 s") for name, one in found.items()]
