"""Servers of the tests' own that stand where functions would: they answer as told and keep what came."""

import http.server
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

Attributes = dict[str, str]
PATIENCE = 60  # s for a function's answer


@dataclass(frozen=True)
class Answer:
    """What a subscriber answers; `after` so many seconds; status 0: it breaks off."""

    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0


@dataclass(frozen=True)
class Delivery:
    """An event as it came: its attributes without `ce-`, the message's headers in lower case, its data."""

    path: str
    headers: dict[str, str]
    data: bytes
    at: float  # s since 1970

    @property
    def event(self) -> Attributes:
        return {name[3:]: value for name, value in self.headers.items() if name.startswith("ce-")}

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Subscriber:
    """Answers each request with the next of its answers, the last of them for ever."""

    def __init__(self, *answers: Answer | int) -> None:
        self.answers = [Answer(answer) if isinstance(answer, int) else answer for answer in answers] or [Answer()]
        self.got: list[Delivery] = []
        self.given: list[tuple[Delivery, Answer]] = []
        self.most = 0  # requests at a time
        self._running = 0
        self._lock = threading.Lock()

    def take(self, delivery: Delivery) -> Answer:
        with self._lock:
            self.got.append(delivery)
            self._running += 1
            self.most = max(self.most, self._running)
        answer = self.answer(delivery)
        with self._lock:
            self._running -= 1
            self.given.append((delivery, answer))
        return answer

    def answer(self, delivery: Delivery) -> Answer:
        with self._lock:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        time.sleep(answer.after)
        return answer


class Tap(Subscriber):
    """Passes everything on to a function and its answer back."""

    def __init__(self, function: str) -> None:
        super().__init__()
        self.function = function  # its address

    def answer(self, delivery: Delivery) -> Answer:
        headers = {name: value for name, value in delivery.headers.items() if name not in ("host", "connection")}
        request = urllib.request.Request(self.function + delivery.path, delivery.data, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return Answer(answer.status, answer.read(), _own(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), _own(error.headers))
        except OSError:
            return Answer(0)


def _own(headers: Message) -> dict[str, str]:
    """A message's headers without those of its connection."""
    return {
        name: value
        for name, value in headers.items()
        if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server")
    }


@contextmanager
def listening(subscriber: Subscriber, host: str) -> Iterator[str]:
    """The address of a server that answers as this subscriber."""
    server = _Server((host, 0), _handler(subscriber.take))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def _handler(take: Callable[[Delivery], Answer]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one piece

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = take(Delivery(self.path, headers, self._body(), time.time()))
            if not answer.status:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
