"""Free ports for the inner parts, so that nothing but the gateway's has to be known."""

import random
import socket
from collections import deque

# Below the ports that Linux hands to outgoing connections (from 32768), also with 10000 added, which seaweedfs does.
FIRST, LAST = 10_000, 22_000
GRPC = 10_000  # seaweedfs: what a port's gRPC port is above it
_taken: deque[int] = deque(maxlen=1000)  # by this process, of late


def free(count: int, also: int = 0) -> list[int]:
    """`count` ports that are free now and, if asked for, those `also` above them. Raises OSError if there are none."""
    found: list[int] = []
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        if all(is_free(each) and each not in _taken for each in (port, port + also)):
            found.append(port)
            take(port, port + also)
        if len(found) == count:
            return found
    raise OSError("no free ports on 127.0.0.1")


def take(*ports: int) -> None:
    """Nobody else is given them: whoever is to listen there may be starting still."""
    _taken.extend(ports)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
