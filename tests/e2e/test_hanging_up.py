"""A client that hangs up in the middle of a stem: the function lets go of what it reads for it."""

import contextlib
import io
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import sounds
from tests.e2e.harness import Service, eventually

ESTABLISHED = "01"  # of <net/tcp_states.h>
SIZE = 64 << 20  # bytes: more than all sockets on the way hold


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Service]:
    """A service that nobody else has to do with: every connection to its store is of this test."""
    with Service(tmp_path / "data", ping=600) as service:
        yield service


def test_the_connection_to_the_store_is_closed(alone: Service) -> None:
    path = _large_stem(alone)
    with contextlib.ExitStack() as clients:
        for _ in range(12):
            clients.enter_context(_read_a_little(alone, path))
        eventually(lambda: _unread(alone) >= 1)  # of those whose client reads no more
    eventually(lambda: _unread(alone) == 0)


def _large_stem(service: Service) -> str:
    """The path of a stem whose file was made larger than its song is."""
    song = service.client.separate(io.BytesIO(sounds.song("wav", title="large")), format="wav").hash
    service.ended(song)
    name = f"{song}/{service.record(song)['upload']}/vocals.wav"
    service.s3.put_object(bucket_name="songs", object_name=name, data=io.BytesIO(bytes(SIZE)), length=SIZE)
    return f"/apiv1/track/{song}/vocals.wav"


def _read_a_little(service: Service, path: str) -> socket.socket:
    (fetch,) = service.local.about()["functions"]["fetch"]
    client = socket.create_connection(("127.0.0.1", fetch["port"]))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
    return client


def _unread(service: Service) -> int:
    """How many open connections to the S3 server have something unread.

    Those that the server has closed do not count: the end itself is one byte to the kernel, and it stays unread in a
    pool of connections until that one's turn comes.
    """
    server = f":{urlsplit(service.local.about()['s3_endpoint']).port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    open_ones = [line for line in lines if line[2].endswith(server) and line[3] == ESTABLISHED]
    return sum(not line[4].endswith(":00000000") for line in open_ones)
