"""Woken by a song's end and by the sweep: calls the clients whose callbacks are due."""

from typing import Any

import functions_framework

from medley import events, http, names, stores
from medley.calling import attempt
from medley.settings import STORES, require

TYPES = (names.SONG_SEPARATED, names.SONG_FAILED, names.CALLBACK_DUE)

require(*STORES)


def act(event: Any) -> None:
    """Calls what is due of the song, or the one callback that the event names."""
    song = events.song_of(event)
    named = events.data_of(event).get("callback")
    if isinstance(named, str):
        attempt(named)
        return
    job = stores.jobs().get(song)
    for waiting in job.callbacks if job else ():
        attempt(waiting)


callback = functions_framework.http(http.function("callback", http.event_handler(TYPES, act), ready=http.stores_ready))
