"""Sending a stored object: whole or a range of it, or only that the client's copy is still good."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from flask import Request, Response
from werkzeug.datastructures import Range
from werkzeug.http import quote_etag, quote_header_value

from medley import stores
from medley.errors import BadRange
from medley.stores.objects import Stat

NO_FOLDERS = str.maketrans("/\\", "--")


@dataclass(frozen=True)
class Body:
    """What is sent: `size` in bytes, None while it is not known."""

    content_type: str
    title: str
    size: int | None


def send(request: Request, name: str, content_type: str, title: str) -> Response | None:
    """An object as the answer to a GET or HEAD; None when it is absent. Raises BadRange."""
    stat = stores.objects().stat(name)
    if stat is None:
        return None
    body = Body(content_type, title, stat.size)
    if _unchanged(request, stat):
        return _with_validators(Response(iter(()), 304), stat)
    start, stop = _range(request, stat)
    response = _read(request, body, stat, start, stop)
    if response is None:
        return None
    if (start, stop) != (0, stat.size):
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stat.size}"
    response.headers["Content-Length"] = str(stop - start)
    response.headers["Accept-Ranges"] = "bytes"
    return _with_validators(response, stat)


def stream(body: Body, pieces: Iterable[bytes]) -> Response:
    """An answer whose body comes piece by piece."""
    response = Response(pieces, content_type=body.content_type, direct_passthrough=True)
    response.headers["Content-Disposition"] = _disposition(body.title)
    if body.size is not None:
        response.headers["Content-Length"] = str(body.size)
    return response


def _disposition(title: str) -> str:
    """A download's name: as ASCII can say it, and after that whole (RFC 6266, RFC 5987)."""
    name = title.translate(NO_FOLDERS)
    plain = quote_header_value(name.encode("ascii", "replace").decode(), allow_token=False)
    return f"attachment; filename={plain}; filename*=UTF-8''{quote(name, safe='')}"


def _read(request: Request, body: Body, stat: Stat, start: int, stop: int) -> Response | None:
    """The bytes from `start` to before `stop`. The client's hanging up closes the connection to the store."""
    if request.method == "HEAD" or stop == start:
        return stream(body, iter(()))
    opened = stores.objects().open(stat.name, start, stop - start)
    if opened is None:
        return None
    response = stream(body, opened)
    response.call_on_close(opened.close)
    return response


def _unchanged(request: Request, stat: Stat) -> bool:
    return bool(request.if_none_match) and request.if_none_match.contains_weak(stat.etag)


def asked_range(request: Request) -> Range | None:
    """The range of bytes that a request is for, None where it is for the whole: `bytes=0-`, as browsers begin to play.

    RFC 9110 has ranges for GET only (14.2), and lets several at once be answered with the whole.
    """
    asked = request.range
    if request.method != "GET" or asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    return None if asked.ranges[0] == (0, None) else asked


def _range(request: Request, stat: Stat) -> tuple[int, int]:
    """First byte and the one after the last."""
    asked = asked_range(request)
    if asked is None:
        return 0, stat.size
    if request.headers.get("If-Range", quote_etag(stat.etag)).strip() != quote_etag(stat.etag):
        return 0, stat.size  # a date or a weak tag does not say that every byte is the same (13.1.5)
    if found := asked.range_for_length(stat.size):
        return found
    if (asked.ranges[0][0] or 0) < 0 < stat.size:
        return 0, stat.size  # the last n bytes of a file that has less are all of it (RFC 9110, 14.1.2)
    raise BadRange(f"The file has {stat.size} bytes.", size=stat.size)


def _with_validators(response: Response, stat: Stat) -> Response:
    response.set_etag(stat.etag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response
