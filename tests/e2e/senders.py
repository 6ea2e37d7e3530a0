"""Ways of sending something to a port, for tables to name."""

from collections.abc import Callable

from tests import sounds
from tests.e2e.wire import (
    API,
    Answer,
    as_form,
    as_json,
    ask,
    chunked,
    exchange,
    exchange_in_turn,
    request,
    text,
    upload,
)

SOUND = sounds.wav()
FORM = "multipart/form-data; boundary=limit"
Send = Callable[[int], Answer]  # to a port


def sent(value: object) -> Send:
    return lambda port: upload(port, *as_json(value))


def option(**options: object) -> Send:
    return sent({"mp3": text(SOUND), **options})


def raw(body: bytes, kind: str = "audio/mpeg", query: str = "") -> Send:
    return lambda port: upload(port, body, kind, query)


def form(**fields: bytes | str) -> Send:
    return lambda port: upload(port, *as_form(**fields))


def path(method: str, where: str, body: bytes | None = None) -> Send:
    return lambda port: ask(port, method, f"{API}/{where}", body, Content_Type="audio/wav")


def promised(length: int, *pieces: bytes, kind: str = "audio/wav") -> Send:
    """A body of another length than its head says; a client that broke off hangs up."""
    head = request(f"POST {API}/separate HTTP/1.1", [("Content-Type", kind), ("Content-Length", str(length))])
    return lambda port: exchange(port, [head, *pieces], close=bool(pieces))


def in_chunks(*pieces: bytes, kind: str = "audio/wav", in_turn: bool = False) -> Send:
    """A body that does not say its length; `in_turn` of a client that reads no answer before it has sent everything."""
    bodies = [chunked_head(kind), *chunked(pieces)]
    return lambda port: exchange_in_turn(port, bodies) if in_turn else exchange(port, bodies)


def broken_chunks(body: bytes) -> Send:
    return lambda port: exchange(port, [chunked_head("audio/wav"), body], close=True)


def chunked_head(kind: str) -> bytes:
    return request(f"POST {API}/separate HTTP/1.1", [("Content-Type", kind), ("Transfer-Encoding", "chunked")])


def nested(depth: int) -> bytes:
    return b'{"mp3": ' + b"[" * depth + b"]" * depth + b"}"


def callback(url: object, data: object = None) -> Send:
    return option(callback={"url": url, "data": data})


def named(name: str, number: int) -> Send:
    """A song of its own, by its length, with a name."""
    return sent({"mp3": text(sounds.wav(sounds.samples(0.1 + number / 100))), "song_name": name})
