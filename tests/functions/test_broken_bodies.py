"""Bodies whose chunks are broken, as gunicorn reads them: it has an exception of its own for each way."""

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.backends import free_port, running
from tests.e2e.wire import exchange, request

HEADERS = [("Transfer-Encoding", "chunked"), ("Content-Type", "application/cloudevents+json")]
BROKEN = [b"zz\r\n{}\r\n", b"2\r\n{}xx0\r\n\r\n", b"2;\r\n{}\r\n0\r\n\r\n", b"5\r\n{"]


@contextmanager
def served(name: str, log: Path) -> Iterator[int]:
    """The port of a function as it runs, whose stores do not answer."""
    port, nowhere = free_port(), f"127.0.0.1:{free_port()}"
    settings = {"REDIS_URL": f"redis://{nowhere}", "S3_ENDPOINT": f"http://{nowhere}", "S3_ACCESS_KEY": "key"}
    settings |= {"S3_SECRET_KEY": "key", "PORT": str(port), "HOST": "127.0.0.1", "THREADS": "1"}

    def ready() -> bool:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return True
        return False

    with running([sys.executable, "-m", "medley.serve", name], ready, log, **settings):
        yield port


@pytest.fixture(scope="module")
def callback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served("callback", tmp_path_factory.mktemp("callback") / "log") as port:
        yield port


@pytest.mark.parametrize("body", BROKEN)
def test_an_event_is_not_to_be_sent_again(callback: int, body: bytes) -> None:
    answer = exchange(callback, [request("POST / HTTP/1.1", HEADERS), body], close=True)
    assert answer.status == 400
    assert answer.json["detail"].startswith("The body is broken")


def test_what_nobody_wants_to_read_is_no_crash(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with served("queue", log) as port:
        for body in BROKEN:
            answer = exchange(port, [request("POST /nothing HTTP/1.1", HEADERS), body], close=True)
            assert (answer.status, answer.json["title"]) == (404, "Not found")
        exchange(port, [request("GET / HTTP/1.1", [])])  # by its one thread: it is done with those before
    assert "Traceback" not in log.read_text()
