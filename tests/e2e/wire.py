"""Requests over a bare socket: exactly the bytes that a test says, and all that came back."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from typing import Any

API = "/apiv1"
PATIENCE = 60  # s until a test gives up on an answer
Address = int | tuple[str, int]  # a port of this machine, or a host and its port


@dataclass(frozen=True)
class Answer:
    """One answer, read to its end."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """Its content type, without parameters."""
        return self.headers.get_content_type()


def ask(port: Address, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """A request in one piece; underscores in headers' names stand for hyphens. `path` goes as it is."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        named["Content-Length"] = str(len(body))
    return exchange(port, [request(f"{method} {path} HTTP/1.1", list(named.items())), body or b""], method)


def request(line: str, headers: Iterable[Iterable[str]], host: str = "localhost") -> bytes:
    """A request's head, with a Host."""
    lines = [line, f"Host: {host}", *(": ".join(header) for header in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


def exchange(port: Address, pieces: Iterable[bytes], method: str = "GET", *, close: bool = False) -> Answer:
    """Sends pieces while it already waits for the answer, as careful clients do; `close` ends sending after them."""
    address = port if isinstance(port, tuple) else ("127.0.0.1", port)
    with socket.create_connection(address, PATIENCE) as connection:
        sender = threading.Thread(target=_send, args=(connection, pieces, close), daemon=True)
        sender.start()
        try:
            return _answer(connection, method)
        finally:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sender.join()


def exchange_in_turn(port: int, pieces: Iterable[bytes], method: str = "GET") -> Answer:
    """Sends everything before it looks for an answer, as most clients do."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return _answer(connection, method)


def _send(connection: socket.socket, pieces: Iterable[bytes], close: bool) -> None:
    with suppress(OSError):  # it does not want the rest
        for piece in pieces:
            connection.sendall(piece)
        if close:
            connection.shutdown(socket.SHUT_WR)


def _answer(connection: socket.socket, method: str) -> Answer:
    with http.client.HTTPResponse(connection, method=method) as response:
        response.begin()
        return Answer(response.status, response.headers, response.read())


def chunked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """A body that does not say its length."""
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def text(data: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(data).decode()


def as_json(value: object) -> tuple[bytes, str]:
    """A body and its content type."""
    return json.dumps(value).encode(), "application/json"


def as_form(**fields: bytes | str) -> tuple[bytes, str]:
    """A multipart form, whose files are the fields given as bytes, and its content type."""
    out = []
    for name, value in fields.items():
        file = f'; filename="{name}.bin"\r\nContent-Type: application/octet-stream' if isinstance(value, bytes) else ""
        out += [f'--limit\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()]
        out += [value if isinstance(value, bytes) else value.encode(), b"\r\n"]
    return b"".join([*out, b"--limit--\r\n"]), "multipart/form-data; boundary=limit"


def upload(port: Address, body: bytes, kind: str = "audio/mpeg", query: str = "") -> Answer:
    return ask(port, "POST", f"{API}/separate{query}", body, Content_Type=kind)
