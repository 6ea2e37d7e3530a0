"""Woken by every log line and every song's end: writes them to stderr and to the list `logging`."""

import base64
import socket
from typing import Any

import functions_framework

from medley import events, http, logs, names, stores
from medley.errors import Unprocessable
from medley.settings import LOG_LEVELS, require

SAID = {
    names.SONG_SEPARATED: ("info", "song separated"),
    names.SONG_FAILED: ("error", "song failed"),
    names.SONG_REMOVED: ("info", "song removed"),
}

ANY = ()  # dead letters are of any type
DEAD_LETTER = ("knativeerrordest", "knativeerrorcode", "knativeerrordata")  # what Knative adds to one
LONGEST = 4000  # characters of a message

Line = tuple[str, str, str, str]  # host, function, level, message

require("redis_url")


def act(event: Any) -> None:
    """Writes an event down, whatever it tells of."""
    if "knativeerrordest" not in event and event["type"] == names.LOG_WRITTEN:
        line = _line(events.data_of(event))
    elif "knativeerrordest" not in event and event["type"] in SAID:
        line = _life(event)
    else:  # no Trigger lets it through; a dead letter tells why it is one only where the function itself answered
        line = _dead_letter(event)
    stores.logbook().write(*line)


def _dead_letter(event: Any) -> Line:
    """An event that its function did not take: it is told, and fails no song."""
    about = {name: str(event[name])[:500] for name in event if name in ("type", "subject", *DEAD_LETTER)}
    if "knativeerrordata" in event:
        about["knativeerrordata"] = _decoded(str(event["knativeerrordata"]))
    logs.line("error", "logsink", "dead letter", **about)
    return socket.gethostname(), "logsink", "error", " ".join(["dead letter", *about.values()])


def _decoded(text: str) -> str:
    """What the function answered, which comes in base64; other Brokers may send it as it was."""
    try:
        return " ".join(base64.b64decode(text, validate=True).decode().split())
    except ValueError:
        return text


def _life(event: Any) -> Line:
    level, said = SAID[event["type"]]
    song = events.song_of(event)
    logs.line(level, "logsink", said, about=events.data_of(event))
    return socket.gethostname(), event["source"].rpartition("/")[2], level, f"{said} {song}"


def _line(data: dict[str, Any]) -> Line:
    """A log line of another function, which stands on that one's own stderr too. Raises Unprocessable."""
    values = [data.get(name) for name in ("host", "function", "level", "message")]
    if not all(isinstance(value, str) for value in values) or data["level"] not in LOG_LEVELS:
        raise Unprocessable('A log event has the texts "host", "function", "level" and "message".')
    fields = data.get("fields")
    about = "".join(f" {name}={value}" for name, value in fields.items()) if isinstance(fields, dict) else ""
    host, function, level, message = (" ".join(str(value).split()) for value in values)
    logs.line(level, function, message, host=host, relayed=True, about=fields)
    return host, function, level, (message + about)[:LONGEST]


logsink = functions_framework.http(http.function("logsink", http.event_handler(ANY, act), ready=http.redis_ready))
