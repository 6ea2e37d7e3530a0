"""A file and an address that tell whether anybody came."""

import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

IN_ACCESS, IN_OPEN = 0x1, 0x20  # of <sys/inotify.h>


class Witness:
    """What was opened or connected to since the start. `file` and `http` are addresses as playlists name them."""

    def __init__(self, path: Path, port: int) -> None:
        self.path = path
        self.file = path.as_uri()
        self.http = f"http://127.0.0.1:{port}/song.mp3"
        self.seen: list[str] = []


@contextlib.contextmanager
def witness(folder: Path, content: bytes) -> Iterator[Witness]:
    """A song in a file and at an address, both watched."""
    path = folder / "secret.mp3"
    path.write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as server, _watched(path) as events:
        seen = Witness(path, server.getsockname()[1])
        thread = threading.Thread(target=_listen, args=(server, seen.seen), daemon=True)
        thread.start()
        yield seen
        with contextlib.suppress(BlockingIOError):
            while os.read(events, 4096):
                seen.seen.append("file")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _listen(server: socket.socket, seen: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            seen.append("http")
            connection.close()


@contextlib.contextmanager
def _watched(path: Path) -> Iterator[int]:
    """A descriptor that can be read once the file was opened by any process."""
    libc = ctypes.CDLL(None, use_errno=True)
    events = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        assert events >= 0
        assert libc.inotify_add_watch(events, os.fsencode(path), IN_ACCESS | IN_OPEN) >= 0
        yield events
    finally:
        os.close(events)
