"""Reading an upload in each of its three forms: base64 in JSON, a form, or the bare audio."""

import binascii
import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from flask import Request

from functions.upload.body import Body, one_byte, read_json
from medley.errors import BadAudio, BadRequest, TooLarge, TooManyUploads, UnsupportedMedia
from medley.settings import settings

PIECE = 1 << 20  # bytes
MANY = 100_000  # members of a JSON body, each of which takes many times its bytes in memory; base64 has none
IDLE = 60.0  # s in which something of a body has to come: it takes its place among those in flight meanwhile
ENVELOPE = 1 << 20  # bytes that a body may have around its audio


@dataclass
class Asked:
    """What a client uploaded: the audio as a file, and everything else as it was said."""

    file: BinaryIO
    size: int
    sha256: str
    name: str
    options: dict[str, Any]  # as functions/upload/options.py checks them


class InFlight:
    """Caps the bytes of all bodies that this process is reading."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Raises TooManyUploads when there is no room for `size` bytes more."""
        with self._lock:
            if self._bytes and self._bytes + size > settings().max_bytes_in_flight:
                raise TooManyUploads("Too many songs are being uploaded at once; try again soon.", retry_after=5)
            self._bytes += size
        try:
            yield
        finally:
            with self._lock:
                self._bytes -= size


in_flight = InFlight()


@contextmanager
def reading(request: Request) -> Iterator[Asked]:
    """The upload of a request; its file is gone afterwards. Raises what is wrong with it."""
    read, limit = _form(request)
    if request.content_length is not None and request.content_length > limit:
        raise _too_large()
    request.max_content_length = limit  # of a body that does not say its length
    if socket := request.environ.get("gunicorn.socket"):
        socket.settimeout(IDLE)
    request.environ["wsgi.input"] = Body(request.environ["wsgi.input"], request.content_length)
    with in_flight.holding(request.content_length or limit):
        asked = read(request)
        try:
            if not asked.size:
                raise BadAudio("The upload has no audio in it: it is empty.")
            yield asked
        finally:
            asked.file.close()


def _form(request: Request) -> tuple[Any, int]:
    """How to read a request, and the bytes its body may have."""
    largest = settings().max_bytes
    kind = request.mimetype
    if kind == "application/json":
        return _read_json, largest * 4 // 3 + ENVELOPE
    if kind == "multipart/form-data":
        return _read_form, largest + ENVELOPE
    if kind.startswith(("audio/", "video/")) or kind in ("application/octet-stream", "application/ogg"):
        return _read_audio, largest
    raise UnsupportedMedia(
        'Send application/json with "mp3", multipart/form-data with "file", or the audio as audio/*.'
    )


def _too_large() -> TooLarge:
    return TooLarge(f"A song may have {settings().max_bytes} bytes.", max_bytes=settings().max_bytes)


def _read_audio(request: Request) -> Asked:
    file, size, digest = _spool(request.stream, settings().max_bytes)
    options = dict(request.args)
    return Asked(file, size, digest, options.pop("song_name", ""), options)


def _read_form(request: Request) -> Asked:
    uploaded = request.files.get("file") or request.files.get("mp3")
    if uploaded is None:
        raise BadRequest('The form has no file named "file".')
    file, size, digest = _spool(uploaded.stream, settings().max_bytes)
    options: dict[str, Any] = dict(request.form)
    name = options.pop("song_name", "") or _without_extension(uploaded.filename or "")
    return Asked(file, size, digest, name, options)


def _read_json(request: Request) -> Asked:
    body = _json_object(request)
    encoded = body.pop("mp3", None)
    if not isinstance(encoded, str):
        raise BadRequest('"mp3" must be the song in base64.')
    name = body.pop("song_name", None) or ""
    if not isinstance(name, str):
        raise BadRequest('"song_name" must be text.')
    audio = _from_base64(encoded)
    del encoded
    if len(audio) > settings().max_bytes:
        raise _too_large()
    file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115
    file.write(audio)
    return Asked(file, len(audio), hashlib.sha256(audio).hexdigest(), name, body)


def _json_object(request: Request) -> dict[str, Any]:
    """The JSON object of a body, with at most two copies of it in memory at a time."""
    file, _, _ = _spool(request.stream, settings().max_bytes * 4 // 3 + ENVELOPE)
    with file:
        file.seek(0)
        data = file.read()
    if sum(map(data.count, (b"{", b"[", b","))) > MANY:
        raise BadRequest("The body has more members than any upload needs.")
    try:
        escaped = one_byte(data, ENVELOPE)
        del data
        text = escaped.decode("ascii")
        del escaped
        body = read_json(text)
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError among them
        raise BadRequest(f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest('The body must be a JSON object with "mp3".')
    return body


def _from_base64(text: str) -> bytes:
    """Strict, but for line breaks and a `data:` URL's head. Raises BadRequest."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        pass
    try:
        return binascii.a2b_base64(text.replace("\n", "").replace("\r", ""), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f'"mp3" is not base64: {error}') from None


def _spool(stream: Any, limit: int) -> tuple[BinaryIO, int, str]:
    """A stream of at most `limit` bytes as a file on disk, with its size and SHA-256: memory stays flat."""
    file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115
    digest, size = hashlib.sha256(), 0
    try:
        while piece := stream.read(PIECE):
            digest.update(piece)
            size += file.write(piece)
            if size > limit:
                raise _too_large()
    except BaseException:
        file.close()
        raise
    return file, size, digest.hexdigest()


def _without_extension(name: str) -> str:
    """A file's name as a song's: without folders and extension."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return base.rpartition(".")[0] or base
