"""Passing connections on from a listening socket to an address, which may be in another network namespace.

A socket belongs to the namespace of the thread that made it: who accepts may stand in one, and what listens in another.
"""

import contextlib
import socket
import threading

PIECE = 1 << 16  # bytes
Address = tuple[str, int]


def listen(port: int = 0) -> socket.socket:
    """A socket that listens on a port of this thread's loopback, 0: any that is free."""
    return socket.create_server(("127.0.0.1", port), backlog=128)


class Relay(threading.Thread):
    """Passes on what comes to `door`, from the namespace of the thread that makes it, until it is shut."""

    def __init__(self, door: socket.socket, address: Address) -> None:
        super().__init__(daemon=True)
        self._door, self._address = door, address
        self._open: set[socket.socket] = set()
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                self._open.add(near)
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def shut(self) -> None:
        """Takes nobody any more, and cuts who is connected."""
        _cut(self._door)
        self.join()
        self._door.close()
        for near in self._open.copy():
            _cut(near)

    def _pass_on(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(self._address) as far:
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join()
        self._open.discard(near)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Everything up to the end; a connection that breaks ends the other one too."""
    try:
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        _cut(source)
        _cut(target)


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
