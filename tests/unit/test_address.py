"""Which addresses a callback may go to."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from medley.address import Refused, Unresolved, judge, post


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:5000/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
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
        ("http://[::ffff:10.0.0.1]/", ("10.0.0.0/8",)),
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
            asked.append(f"{self.headers['Host']} {self.path}")
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
