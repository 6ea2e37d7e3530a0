"""Woken by every log line and every song's end: writes them to stderr and to the list `logging`."""

import socket
from typing import Any

import functions_framework

from medley import events, http, logs, names, stores
from medley.errors import Unprocessable
from medley.settings import require

TYPES = (names.LOG_WRITTEN, names.SONG_SEPARATED, names.SONG_FAILED, names.SONG_REMOVED)
SAID = {
    names.SONG_SEPARATED: ("info", "song separated"),
    names.SONG_FAILED: ("error", "song failed"),
    names.SONG_REMOVED: ("info", "song removed"),
}

require("redis_url")


def act(event: Any) -> None:
    """A life event is told here; a log line stands on its function's own stderr already."""
    if event["type"] == names.LOG_WRITTEN:
        host, function, level, message = _line(events.data_of(event))
    else:
        level, said = SAID[event["type"]]
        song = events.song_of(event)
        host, function = socket.gethostname(), event["source"].rpartition("/")[2]
        message = f"{said} {song}"
        logs.line(level, "logsink", said, **events.data_of(event))
    stores.logbook().write(host, function, level, message)


def _line(data: dict[str, Any]) -> tuple[str, str, str, str]:
    """Host, function, level and message of a log event, on one line. Raises Unprocessable."""
    values = [data.get(name) for name in ("host", "function", "level", "message")]
    if not all(isinstance(value, str) for value in values) or data["level"] not in logs.LEVELS:
        raise Unprocessable('A log event has the texts "host", "function", "level" and "message".')
    fields = data.get("fields")
    about = "".join(f" {name}={value}" for name, value in fields.items()) if isinstance(fields, dict) else ""
    host, function, level, message = (" ".join(str(value).split()) for value in values)
    return host, function, level, (message + about)[:4000]


logsink = functions_framework.http(http.function("logsink", http.event_handler(TYPES, act), ready=http.redis_ready))
