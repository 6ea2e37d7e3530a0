"""Free ports for the inner parts, so that nothing but the gateway's has to be known."""

import random
import socket

# Below the ports that Linux hands to outgoing connections (from 32768), also with 10000 added, which seaweedfs does.
FIRST, LAST = 10_000, 22_000
GRPC = 10_000  # seaweedfs: what a port's gRPC port is above it


def free(count: int, also: int = 0) -> list[int]:
    """`count` ports that are free now and, if asked for, those `also` above them. Raises OSError if there are none."""
    found: list[int] = []
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        if is_free(port) and (not also or is_free(port + also)):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports on 127.0.0.1")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
