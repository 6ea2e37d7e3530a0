"""Passing connections on from a listening socket to an address, which may be in another network namespace.

A socket belongs to the namespace of the thread that made it: who accepts may stand in one, and what listens in another.
"""

import contextlib
import socket
import threading

PIECE = 1 << 16  # bytes
Address = tuple[str, int]


def listen() -> socket.socket:
    """A socket that listens on any free port of this thread's loopback."""
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def relay(door: socket.socket, address: Address) -> threading.Thread:
    """Passes on what comes to `door` until that is shut down; connects from the calling thread's namespace."""
    thread = threading.Thread(target=_accept, args=(door, address), daemon=True)
    thread.start()
    return thread


def shut(door: socket.socket) -> None:
    """Ends a relay."""
    with contextlib.suppress(OSError):
        door.shutdown(socket.SHUT_RDWR)
    door.close()


def _accept(door: socket.socket, address: Address) -> None:
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=_pass_on, args=(door.accept()[0], address), daemon=True).start()


def _pass_on(near: socket.socket, address: Address) -> None:
    with near, contextlib.suppress(OSError), socket.create_connection(address) as far:
        back = threading.Thread(target=_copy, args=(far, near), daemon=True)
        back.start()
        _copy(near, far)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Everything up to the end; a connection that breaks ends the other one too."""
    try:
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
