"""CloudEvents as medley builds and reads them."""

import json
import re
import secrets
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from cloudevents.conversion import to_json
from cloudevents.exceptions import GenericException
from cloudevents.http import CloudEvent, from_http
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from medley import names
from medley.errors import BadRequest, TooLarge, Unprocessable

P = ParamSpec("P")
T = TypeVar("T")

LARGEST = 4 << 20  # bytes of an event's body: ours have some hundred, and a line of a log what it was given
LONGEST = 300  # characters of what a library says of one: it quotes the body

# The W3C trace context of what is being done; it travels along in the events that come of it.
traceparent: ContextVar[str] = ContextVar("traceparent", default="")


_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def follow(told: str) -> None:
    """Goes on with the trace that was told, or begins one where that is none."""
    traceparent.set(told if _TRACEPARENT.fullmatch(told) else new_traceparent())


def new_traceparent() -> str:
    """A new trace: version, trace id, parent id, flags (https://www.w3.org/TR/trace-context/)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def traced(act: Callable[P, T]) -> Callable[P, T]:
    """The same in the trace of whoever calls this, for another thread: that would begin one of its own."""
    return partial(copy_context().run, act)


def build(event_type: str, function: str, subject: str | None, data: dict[str, Any]) -> str:
    """An event in structured mode, as JSON text. `subject` is the song's hash, if it is about one."""
    attributes = {
        "type": event_type,
        "source": names.source(function),
        "datacontenttype": "application/json",
        "traceparent": traceparent.get() or new_traceparent(),
    }
    if subject is not None:
        attributes["subject"] = subject
    return str(to_json(CloudEvent(attributes, data)), "utf-8")


def read(request: Request, types: Sequence[str]) -> CloudEvent:
    """The event of a request, in structured or binary mode, of one of these types; none named: of any.

    Raises BadRequest for what is none, TooLarge, and Unprocessable for one of another type: none is to be sent again.
    """
    request.max_content_length = LARGEST
    try:
        event = from_http(dict(request.headers), _body(request))
    except (GenericException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadRequest(f"This is no CloudEvent 1.0: {str(error)[:LONGEST]}") from error
    if not all(isinstance(event[name], str) for name in ("id", "source", "type")):
        raise BadRequest("This is no CloudEvent 1.0: its id, source and type are to be texts.")
    if types and event["type"] not in types:
        raise Unprocessable(f"An event of type {event['type']!r} is not for this function, only {', '.join(types)}.")
    return event


def _body(request: Request) -> bytes:
    """Raises TooLarge, and BadRequest for one that is broken: no later attempt mends it."""
    try:
        return request.get_data()
    except RequestEntityTooLarge as error:
        raise TooLarge(f"An event's body may have {LARGEST} bytes.") from error
    except Exception as error:  # gunicorn has one for each way in which a body can be broken
        raise BadRequest(f"The body is broken: {error}") from error


def song_of(event: CloudEvent) -> str:
    """The song that an event is about. Raises Unprocessable when it names none."""
    song = data_of(event).get("hash")
    if not isinstance(song, str) or not names.is_hash(song):
        raise Unprocessable('The event\'s data has no "hash" of 64 hexadecimal digits.')
    return song


def data_of(event: CloudEvent) -> dict[str, Any]:
    """The event's data. Raises Unprocessable when it is no JSON object."""
    data = event.get_data()
    try:
        data = json.loads(data) if isinstance(data, bytes | str) else data
        json.dumps(data, ensure_ascii=False).encode()  # half of a surrogate pair is no text, and nothing can store it
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Unprocessable("The event's data is no JSON object.")
    return data
