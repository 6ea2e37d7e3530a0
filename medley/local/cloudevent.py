"""CloudEvents 1.0 over HTTP as a Broker handles them: read in either mode, passed on in binary mode."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STRUCTURED = "application/cloudevents+json"
REQUIRED = ("specversion", "id", "source", "type")
HEADER = "ce-"
CONTENT_TYPE = "datacontenttype"
_NAME = re.compile(r"[a-z0-9]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_JSON = re.compile(r"[^/]+/([^;]+\+)?json\b", re.IGNORECASE)


class NoEvent(Exception):
    """What came is no CloudEvent; the message says why."""


@dataclass(frozen=True)
class Event:
    """An event: its attributes, extensions among them, as text, and its data as bytes."""

    attributes: dict[str, str]
    data: bytes = b""

    def having(self, **attributes: str) -> "Event":
        """The same event with more attributes."""
        return Event({**self.attributes, **attributes}, self.data)

    def without(self, attribute: str) -> "Event":
        """The same event, but for one attribute."""
        return Event({name: value for name, value in self.attributes.items() if name != attribute}, self.data)

    def headers(self) -> dict[str, str]:
        """The headers of binary mode. As with Knative's Broker, nothing is percent-encoded, here or when it is read."""
        named = {HEADER + name: value for name, value in self.attributes.items() if name != CONTENT_TYPE}
        if CONTENT_TYPE in self.attributes:
            named["Content-Type"] = self.attributes[CONTENT_TYPE]
        return named


@dataclass(frozen=True)
class Answer:
    """What an HTTP call came back with; `told` is whether a dead letter tells of it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    told: bool = True


def is_event(headers: Mapping[str, str]) -> bool:
    """Whether a message says of itself that it is an event. `headers` are looked up without regard to case."""
    lower = {name.lower(): value for name, value in headers.items()}
    return "ce-specversion" in lower or lower.get("content-type", "").lower().startswith(STRUCTURED)


def read(headers: Mapping[str, str], body: bytes) -> Event:
    """The event of an HTTP message in structured or binary mode. Raises NoEvent."""
    lower = {name.lower(): value for name, value in headers.items()}
    structured = lower.get("content-type", "").lower().startswith(STRUCTURED)
    return _checked(_structured(body) if structured else _binary(lower, body))


def _binary(headers: Mapping[str, str], body: bytes) -> Event:
    attributes = {name[len(HEADER) :]: value for name, value in headers.items() if name.startswith(HEADER)}
    if "content-type" in headers:
        attributes[CONTENT_TYPE] = headers["content-type"]
    return Event(attributes, body)


def _structured(body: bytes) -> Event:
    try:
        members = json.loads(body)
    except ValueError as error:
        raise NoEvent(f"the body is no JSON: {error}") from error
    if not isinstance(members, dict):
        raise NoEvent("the body is no JSON object")
    attributes = {
        name: _text(name, value)
        for name, value in members.items()
        if name not in ("data", "data_base64") and value is not None
    }
    attributes.setdefault(CONTENT_TYPE, "application/json")
    return Event(attributes, _data(members, attributes[CONTENT_TYPE]))


def _data(members: dict[str, Any], content_type: str) -> bytes:
    if "data_base64" in members:
        try:
            return base64.b64decode(members["data_base64"], validate=True)
        except (ValueError, TypeError) as error:
            raise NoEvent("data_base64 is not base64") from error
    if "data" not in members:
        return b""
    data = members["data"]
    if isinstance(data, str) and not _JSON.match(content_type):
        return data.encode()
    return json.dumps(data).encode()


def _text(name: str, value: object) -> str:
    """An attribute's value in its canonical text form."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | str():
            return str(value)
        case _:
            raise NoEvent(f"attribute {name!r} is neither text, whole number nor boolean")


def _checked(event: Event) -> Event:
    missing = [name for name in REQUIRED if not event.attributes.get(name)]
    if missing:
        raise NoEvent(f"missing: {', '.join(missing)}")
    if event.attributes["specversion"] != "1.0":
        raise NoEvent(f"specversion {event.attributes['specversion']!r} is not 1.0")
    wrong = [name for name in event.attributes if not _NAME.fullmatch(name)]
    if wrong:
        raise NoEvent(f"no names of attributes: {', '.join(wrong)}")
    if any(not value.isprintable() for value in event.attributes.values()):
        raise NoEvent("an attribute holds what cannot stand in a header")
    if "time" in event.attributes and not _TIME.fullmatch(event.attributes["time"]):
        raise NoEvent(f"time {event.attributes['time']!r} is no timestamp of RFC 3339")
    return event
