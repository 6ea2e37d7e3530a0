"""A small real HTTP server that answers as it is told and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

EXAMPLES = Path(__file__).parents[2] / "contract" / "examples" / "http"


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """`cut`: only so many bytes of the body are sent before the connection ends. `chunked`: its length is not said."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    chunked: bool = False


class Service:
    """`answers` by "METHOD /path": taken in turn, the last one for good."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.answers: dict[str, list[Answer]] = {}

    def on(self, route: str, *answers: Answer) -> None:
        self.answers[route] = list(answers)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        waiting = self.answers.get(f"{asked.method} {asked.path}") or [problem(404, "not-found")]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def problem(status: int, slug: str, detail: str = "It is so.", **headers: str) -> Answer:
    about = {"type": f"urn:medley:problem:{slug}", "title": slug, "status": status, "detail": detail, "more": 1}
    return as_json(about, status, **{"Content-Type": "application/problem+json", **headers})


def example(name: str) -> Any:
    """The answer's JSON in one of the contract's examples."""
    return json.loads((EXAMPLES / f"{name}.json").read_text())["answer"]["json"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def _serve(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, unquote(url.path), query, dict(self.headers), body)
        answer = self.service.answer(asked)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self._send_body(answer)

    def _send_body(self, answer: Answer) -> None:
        sent = answer.body if answer.cut is None else answer.body[: answer.cut]
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(sent), sent) + (b"" if answer.cut is not None else b"0\r\n\r\n"))
        else:
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(sent)
        self.close_connection = self.close_connection or answer.cut is not None

    do_GET = do_POST = do_DELETE = do_HEAD = _serve

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is nothing to tell."""


@contextmanager
def running() -> Iterator[Service]:
    """A service on a free port."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        service = Service(f"http://127.0.0.1:{server.server_port}")
        handler.service = service  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
