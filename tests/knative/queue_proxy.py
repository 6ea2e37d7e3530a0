"""Knative's queue-proxy in front of a server of this machine, in a network namespace of its own.

It binds fixed ports beside its serving port, so one namespace holds only one of it. The namespace has no name and no
way out: it belongs to a thread and to the process that it starts, and is gone with them, however they end. Connections
are passed on between it and the machine.
"""

import contextlib
import ctypes
import fcntl
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.knative.relay import Address, Relay, listen

SERVING: Address = ("127.0.0.1", 8012)  # where it listens inside
START = 30.0  # s
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")  # a command's begin: it ends with the thread that starts it
_NEW_NET = 0x40000000  # CLONE_NEWNET
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
_FLAGS = "16sh14x"  # struct ifreq: an interface's name and its flags
_libc = ctypes.CDLL(None, use_errno=True)


def permitted() -> bool:
    """Whether this process may make network namespaces: root may, unless a container forbids it."""
    with ThreadPoolExecutor(1) as thread:
        return bool(thread.submit(_libc.unshare, _NEW_NET).result() == 0)


@contextlib.contextmanager
def queue_proxy(binary: Path, function: Address, environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """The host:port of a queue-proxy in front of the function at an address."""
    pod = _Pod(binary, function[1], environment, log)
    with pod:
        outward = Relay(pod.towards_function, function)
        try:
            host, port = pod.door.getsockname()
            yield f"{host}:{port}"
        finally:
            outward.shut()


class _Pod:
    """A thread in a namespace of its own, and the queue-proxy there."""

    def __init__(self, binary: Path, port: int, environment: Mapping[str, str], log: Path) -> None:
        self.door = listen()
        self.towards_function: socket.socket
        self._command, self._port, self._log = [*DIES_WITH_US, str(binary)], port, log
        self._environment = {**environment, "USER_PORT": str(port), "QUEUE_SERVING_PORT": str(SERVING[1])}
        self._up, self._end = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        self._up.wait()
        if self._failure is not None:
            raise self._failure

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _live(self) -> None:
        try:
            _enter_new_namespace()
            self.towards_function = listen(self._port)
            with self._running() as process:
                _wait_for(process, self._log)
                inward = Relay(self.door, SERVING)
                self._up.set()
                self._end.wait()
                inward.shut()
        except Exception as error:
            self._failure = error
        finally:
            self._up.set()

    @contextlib.contextmanager
    def _running(self) -> Iterator["subprocess.Popen[bytes]"]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(SERVING, 1).close()
            return
        time.sleep(0.01)
    raise RuntimeError(f"queue-proxy does not start: {log.read_text()[-2000:]}")


def _enter_new_namespace() -> None:
    """Moves this thread, and what it starts from now on, into a new network namespace with a loopback."""
    if _libc.unshare(_NEW_NET):
        raise OSError(ctypes.get_errno(), "no network namespace can be made")
    with socket.socket() as any_socket:
        asked = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack(_FLAGS, b"lo", 0))
        flags = struct.unpack(_FLAGS, asked)[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack(_FLAGS, b"lo", flags | _UP))
