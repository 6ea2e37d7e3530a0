"""One sweep: finishes what was begun, restores what was lost, announces what waits."""

from collections.abc import Callable

from functions.sweep.each import each
from functions.sweep.listing import settle_objects
from medley import events, logs, names, stores
from medley.http import stores_ready
from medley.publish import publish
from medley.removal import remove_song, remove_track
from medley.settings import settings

CALLBACKS = 200  # announced by one sweep at most: more would only queue up before the function


def sweep() -> None:
    """Does every step, also when one before it fails; raises the first failure at the end."""
    failures: list[Exception] = []
    for step in (publish_outbox, finish_removals, settle_objects, announce_songs, announce_callbacks):
        _guard(step, failures)
    if failures:
        raise failures[0]


def _guard(step: Callable[[], None], failures: list[Exception]) -> None:
    try:
        step()
    except Exception as error:
        logs.note(f"{step.__name__} failed", error=logs.why(error))
        failures.append(error)


def publish_outbox() -> None:
    """Events whose publisher is gone."""
    each(stores.outbox().older_than(settings().grace_seconds), _publish_late, "publishing an event")


def _publish_late(event: str) -> None:
    publish(event)
    stores.outbox().published(event)
    logs.info("event published late")


def finish_removals() -> None:
    """Removals that were marked and may have been interrupted; one that is going on meanwhile does no harm."""
    each(stores.jobs().removing(), _finish_removal, "finishing a removal", stores_ready)


def _finish_removal(entry: str) -> None:
    song, upload_id, *track = entry.split("/")
    upload = names.Upload(song, upload_id)
    if track:
        remove_track(upload, track[0], stores.jobs().get(song))
    else:
        remove_song(upload)
    logs.info("removal finished", hash=song)


def announce_songs() -> None:
    """Songs nobody announced, or whose worker died: no more than can be worked on at a time."""
    for song in stores.jobs().unheld(settings().max_workers):
        publish(events.build(names.SONG_UPLOADED, "sweep", song, {"hash": song}))


def announce_callbacks() -> None:
    """Callbacks whose next attempt is due."""
    each(stores.callbacks().due(CALLBACKS), _announce_callback, "announcing a callback")


def _announce_callback(callback: str) -> None:
    known = stores.callbacks().get(callback)
    if known is None:
        stores.callbacks().forget(callback)
        return
    publish(events.build(names.CALLBACK_DUE, "sweep", known.song, {"hash": known.song, "callback": callback}))
