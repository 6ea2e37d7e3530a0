"""One function's process with Knative's queue-proxy in front of it, on this machine."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import starting
from benchmarks.service import Process
from benchmarks.sizing.backbone import Backbone
from medley.local import ports
from medley.local.process import die_with_parent
from tests.knative import manifests
from tests.knative.processes import built, queue_proxy_environment
from tests.manifests.rendering import find

START = 20.0  # s


@dataclass(frozen=True)
class Function:
    """A function behind its queue-proxy: where clients reach it, and what the kernel says about both."""

    name: str
    port: int
    process: Process
    proxy: Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running(backbone: Backbone, name: str) -> Iterator[Function]:
    """With the settings of knative/base. Queue-proxy binds fixed ports, so there is one at a time."""
    with starting.started(backbone, name) as (port, process, _), _queue_proxy(name, port) as (door, proxy):
        yield Function(name, door, process, proxy)


@contextmanager
def _queue_proxy(name: str, function: int) -> Iterator[tuple[int, Process]]:
    """Its port and its process."""
    (door,) = ports.free(1)
    told = queue_proxy_environment(find(manifests.base(), "Service", name))
    environment = {**os.environ, **told, "USER_PORT": str(function), "QUEUE_SERVING_PORT": str(door)}
    with tempfile.TemporaryFile() as log:
        command = [str(built() / "queue")]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509 - no threads yet
        try:
            _wait_for(door, process)
            yield door, Process(process.pid)
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.01)
    raise RuntimeError("queue-proxy does not start")
