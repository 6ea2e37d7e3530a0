"""What the client's tests share."""

import socket
from collections.abc import Iterator

import pytest

from medley.client import Medley
from tests.client.service import Service, running


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as service:
        yield service


@pytest.fixture
def medley(service: Service) -> Medley:
    return Medley(service.url, timeout=5)


@pytest.fixture
def nowhere() -> str:
    """An address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medley.client.download.PAUSE", 0.001)
