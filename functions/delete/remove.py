"""Removing: the record is marked first, so that nothing of the song reappears; then its objects go."""

from collections.abc import Iterator
from contextlib import contextmanager

from medley import events, logs, names, stores
from medley.announce import announce, announce_recorded
from medley.errors import NotFinished, NotFound, Unavailable
from medley.job import Job
from medley.output import parse
from medley.removal import remove_song, remove_track


def remove_whole(song: str) -> str:
    """Removes a song, and cancels its job if that has not ended. Returns the reason to tell. Raises NotFound."""
    event = _event(song, None)
    upload = stores.jobs().remove(song, event)
    if upload is None:
        raise NotFound("There is no song with this hash.")
    with _marked(song):
        announce_recorded(event)
        _announce_callbacks(song)
        remove_song(upload)
    logs.info("song removed", hash=song)
    return "Song removed"


def remove_one(song: str, track: str) -> str:
    """Removes a stem, or the original, of a finished song. Raises NotFound, NotFinished, BadTrack."""
    job = stores.jobs().get(song)
    if job is None or job.status == "canceled":
        raise NotFound("There is no song with this hash.")
    name = _track(job, track)
    event = _event(song, name)
    status, upload, removed = stores.jobs().remove_track(song, name, event)
    if status != "succeeded":
        raise NotFinished(f"The song is {status or 'gone'}; remove the whole song, or wait for its end.", state=status)
    if not removed:
        raise NotFound(f"{name} has been removed already.")
    with _marked(song):
        announce_recorded(event)
        remove_track(names.Upload(song, upload), name, job)
    logs.info("track removed", hash=song, track=name)
    return "Track removed"


@contextmanager
def _marked(song: str) -> Iterator[None]:
    """What follows on the mark. A store that is away then is no failure: the client would ask again and be told 404."""
    try:
        yield
    except Unavailable as error:
        logs.error("what is marked as removed is left to the sweep", hash=song, error=error.detail)


def _track(job: Job, track: str) -> str:
    """The stem, or "original", that a path names."""
    if track == "original":
        return track
    output = parse(track, job.stems)
    if output.complement:
        raise NotFound(f"{output.stem} is made of the other stems and is not removed by itself: remove one of those.")
    return output.stem


def _event(song: str, track: str | None) -> str:
    return events.build(names.SONG_REMOVED, "delete", song, {"hash": song, "track": track})


def _announce_callbacks(song: str) -> None:
    """Wakes the callbacks of clients that were waiting for the song."""
    job = stores.jobs().get(song)
    for callback in job.callbacks if job else ():
        announce(events.build(names.CALLBACK_DUE, "delete", song, {"hash": song, "callback": callback}))
