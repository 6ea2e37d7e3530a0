"""Reading an upload that does not go on coming."""

import socket
from collections.abc import Iterator

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from functions.upload import read
from medley import settings
from medley.errors import Stalled, TooManyUploads

FORMS = ["audio/wav", "application/json", "multipart/form-data; boundary=b"]


class Connection:
    """Both ends of one: the client's, and ours as gunicorn gives it."""

    def __init__(self) -> None:
        self.theirs, self.ours = socket.socketpair()

    def request(self, kind: str) -> Request:
        """One whose body is to have 100 bytes."""
        environ = EnvironBuilder(method="POST", content_type=kind).get_environ()
        return Request(environ | {"wsgi.input": self, "gunicorn.socket": self.ours, "CONTENT_LENGTH": "100"})

    def read(self, size: int) -> bytes:
        return self.ours.recv(size)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    monkeypatch.setattr(read, "IDLE", 0.05)
    made = Connection()
    with made.theirs, made.ours:
        yield made
    settings.settings.cache_clear()


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("begun", [b"", b"--b"])
def test_a_body_that_stops_coming_is_not_waited_for(connection: Connection, kind: str, begun: bytes) -> None:
    connection.theirs.sendall(begun)
    with pytest.raises(Stalled), read.reading(connection.request(kind)):
        pass


def test_it_leaves_its_place_to_others(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_BYTES_IN_FLIGHT", "100")
    settings.settings.cache_clear()
    with read.in_flight.holding(1), pytest.raises(TooManyUploads), read.reading(connection.request("audio/wav")):
        pass
    with pytest.raises(Stalled), read.reading(connection.request("audio/wav")):
        pass
    connection.theirs.sendall(bytes(100))
    with read.reading(connection.request("audio/wav")) as asked:
        assert asked.size == 100
