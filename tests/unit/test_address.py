"""Which addresses a callback may go to."""

import base64
import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from medley import address
from medley.address import Refused, Target, Unresolved, judge, post


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:5000/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[::127.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[fec0::1]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://2130706433/",
        "http://127.1/",
    ],
)
def test_addresses_within_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        judge(url, ())


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("http://127.0.0.1/", ("any",)),
        ("http://127.0.0.1/", ("127.0.0.0/8",)),
        ("http://localhost/", ("localhost",)),
        ("http://LocalHost/", ("LOCALHOST",)),
        ("http://127.0.0.1/", ("Any",)),
        ("http://[::ffff:10.0.0.1]/", ("10.0.0.0/8",)),
        ("http://[64:ff9b::a00:1]/", ("10.0.0.0/8",)),
        ("http://[64:ff9b::a00:1]/", ("64:ff9b::/96",)),
        ("http://[::1]/", ("::1",)),
        ("http://[2606:4700::1]/", ()),
        ("http://93.184.215.14/", ()),
    ],
)
def test_public_addresses_and_those_named_are_allowed(url: str, allow: tuple[str, ...]) -> None:
    assert judge(url, allow).url == url


def test_a_network_named_allows_no_other() -> None:
    with pytest.raises(Refused):
        judge("http://127.0.0.1/", ("10.0.0.0/8", "localhost"))


def test_a_host_without_an_address_may_have_one_later() -> None:
    with pytest.raises(Unresolved):
        judge("http://no-such-host.invalid/", ())


@pytest.fixture
def redirecting() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(" ".join(filter(None, (self.headers["Host"], self.path, self.headers["Authorization"]))))
            self.send_response(301)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/hook?a=1", asked
        server.shutdown()
        thread.join()


def test_the_judged_address_is_called_by_its_own_name_and_no_redirect_is_followed(
    redirecting: tuple[str, list[str]],
) -> None:
    url, asked = redirecting
    answer = post(judge(url, ("any",)), b"{}", {}, 5)
    assert answer.status == 301
    port = url.split(":")[2].split("/")[0]
    assert asked == [f"localhost:{port} /hook?a=1"]


@contextlib.contextmanager
def answering(*pieces: bytes, pause: float = 0.0) -> Iterator[Target]:
    """A server that answers with these bytes, one after the other, and then leaves the connection open."""
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                ended.wait(pause)
            ended.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Target(f"http://localhost:{listening.getsockname()[1]}/", "localhost", ("127.0.0.1",))
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1000000000\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_of_an_answer_only_the_head_counts(head: bytes) -> None:
    """Its body may be endless, cut short, or swell when it is unpacked."""
    with answering(b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\n" + head) as target:
        answer = post(target, b"{}", {}, 5)
    assert (answer.status, answer.headers["Retry-After"]) == (200, "7")


def test_the_user_that_a_url_names_is_who_calls(redirecting: tuple[str, list[str]]) -> None:
    url, asked = redirecting
    post(judge(url.replace("//", "//me:p%40ss@"), ("any",)), b"{}", {}, 5)
    (call,) = asked
    assert call.endswith(f" Basic {base64.b64encode(b'me:p@ss').decode()}")
    assert call.startswith("localhost:")


def test_a_byte_now_and_then_does_not_hold_it() -> None:
    with (
        answering(*(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n\r\n"), pause=0.2) as target,
        pytest.raises(TimeoutError),
    ):
        post(target, b"{}", {}, 1)


def test_a_connection_that_is_made_too_late_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is made, by a TLS handshake that lasts, there is nothing yet that could be cut."""
    make = address._connection

    def slow(target: Target, to: str, seconds: float) -> address.HTTPConnection:
        connection = make(target, to, seconds)
        connect = connection.connect
        connection.connect = lambda: (time.sleep(2 * seconds), connect())  # type: ignore[method-assign,assign]
        return connection

    monkeypatch.setattr(address, "_connection", slow)
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as target, pytest.raises(TimeoutError):
        post(target, b"{}", {}, 0.3)


def test_where_the_first_address_takes_no_connection_the_next_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's /etc/hosts has ::1 and 127.0.0.1 for localhost, and a server may listen on one of them only."""
    with answering(b"HTTP/1.1 ", b"200 OK\r\n\r\n", pause=0.8) as target:
        port = int(target.url.rstrip("/").rpartition(":")[2])
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.2", "127.0.0.1")]
        with monkeypatch.context() as looked_up:
            looked_up.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            judged = judge(target.url, ("any",))
        assert judged.addresses == ("127.0.0.2", "127.0.0.1")
        assert post(judged, b"{}", {}, 1.4).status == 200  # with all of the time to answer in
