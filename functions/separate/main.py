"""Woken by uploaded songs: separates the oldest song that nobody holds, then the next."""

from functools import cache
from typing import Any

import functions_framework

from functions.separate.allocator import keep_memory
from functions.separate.gpu import require_gpu
from functions.separate.worker import Worker
from medley import events, http, names
from medley.settings import STORES, require

keep_memory()  # before there are threads
if require(*STORES).device == "cuda":
    require_gpu()


@cache
def worker() -> Worker:
    """Of this process; made in gunicorn's worker, whose pid and threads it has."""
    return Worker()


def act(event: Any) -> None:
    """The event only wakes: which song is next the queue says."""
    events.song_of(event)
    worker().work()


separate = functions_framework.http(
    http.function("separate", http.event_handler((names.SONG_UPLOADED,), act), ready=http.stores_ready)
)
