"""Structured logs: one JSON line an event on stderr, and the same as an event for the log sink."""

import json
import queue
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from medley import events, names
from medley.errors import MedleyError
from medley.publish import publish
from medley.settings import LOG_LEVELS, settings

WAITING = 1000  # events at most: logging never holds up a request, so the rest is dropped

_function = ""
_waiting: "queue.Queue[str]" = queue.Queue(maxsize=WAITING)
_sender: threading.Thread | None = None
_lock = threading.Lock()


def begin(function: str) -> None:
    """Says which function this process is. Called once, in its main."""
    global _function  # noqa: PLW0603
    _function = function


def info(message: str, **fields: Any) -> None:
    _write("info", message, fields)


def error(message: str, **fields: Any) -> None:
    _write("error", message, fields)


def note(message: str, **fields: Any) -> None:
    """An error that only stderr is told."""
    line("error", _function, message, **fields)


def line(level: str, function: str, message: str, **fields: Any) -> None:
    """Writes one line to stderr and nothing else."""
    about = {"time": round(time.time(), 3), "level": level, "function": function, "message": message, **fields}
    # One write, line end and all: print would write it apart, and another thread's line may come between.
    sys.stderr.write(json.dumps(about, default=str) + "\n")
    sys.stderr.flush()


def why(error: BaseException) -> str:
    """An error and what it came from, for a log: redis-py's `repr` says only of what kind one of its errors is."""
    # The text of urllib3's MaxRetryError holds the whole address, signature and all.
    reason = getattr(error, "reason", None)
    told = reason if isinstance(reason, Exception) else error
    said = f"{type(told).__name__}: {told}"
    return f"{said} ({why(error.__cause__)})" if error.__cause__ else said


def flush(limit: float) -> None:
    """Waits until what was said has been sent to the log sink, `limit` s at most."""
    with _waiting.all_tasks_done:
        _waiting.all_tasks_done.wait_for(lambda: not _waiting.unfinished_tasks, limit)


def _write(level: str, message: str, fields: dict[str, Any]) -> None:
    if LOG_LEVELS.index(level) < LOG_LEVELS.index(settings().log_level):
        return
    line(level, _function, message, **fields)
    if settings().broker_url and _function not in ("", "logsink"):
        _send(level, message, fields)


def _send(level: str, message: str, fields: dict[str, Any]) -> None:
    said = {name: value if isinstance(value, int | float) else str(value) for name, value in fields.items()}
    about = {"host": socket.gethostname(), "function": _function, "level": level, "message": message}
    data = {**about, "fields": said}
    try:
        _waiting.put_nowait(events.build(names.LOG_WRITTEN, _function, None, data))
    except queue.Full:
        return
    _start_sender()


def _start_sender() -> None:
    """Starts the thread with the first line, so that it is started in gunicorn's worker and not in its parent."""
    global _sender  # noqa: PLW0603
    with _lock:
        if _sender is None or not _sender.is_alive():
            _sender = threading.Thread(target=_send_all, name="logs", daemon=True)
            _sender.start()


def _send_all() -> None:
    while True:
        event = _waiting.get()
        with suppress(MedleyError):  # the line stands on stderr
            publish(event)
        _waiting.task_done()
