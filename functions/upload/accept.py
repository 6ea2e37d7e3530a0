"""Accepting an upload: store, then record and queue in one step, then announce."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from functions.upload.options import Options
from functions.upload.read import Asked
from medley import events, logs, names, stores
from medley.announce import announce, announce_recorded
from medley.callback import MAX_CALLBACKS, Callback
from medley.errors import MedleyError, QueueFull, Unavailable, Unprocessable
from medley.job import Job
from medley.settings import settings
from medley.song import Song, clean_name, song_hash

if TYPE_CHECKING:
    from medley.audio import Probe  # av and numpy are loaded with the first upload

TRIES = 5  # against removals and equal uploads that come between
KNOWN = {
    "queued": "Song was uploaded before; it is enqueued for separation",
    "processing": "Song was uploaded before; it is being separated",
    "succeeded": "Song was uploaded before; its stems are ready",
}


def known(asked: Asked, options: Options) -> Job | None:
    """The song's record, if uploading it again does not start it again.

    A record whose objects are gone goes too: Redis, set back by a failover, may have forgotten a removal.
    """
    job = stores.jobs().get(song_hash(asked.sha256, options.separation))
    if job is None or job.restarts:
        return None
    if job.status == "succeeded" and stores.objects().stat(job.upload.done) is None:
        _remove_record(job)
        return None
    return job


def _remove_record(job: Job) -> None:
    removed = events.build(names.SONG_REMOVED, "upload", job.song, {"hash": job.song, "track": None})
    if stores.jobs().remove(job.song, removed, job.upload.id):
        announce_recorded(removed)


def accept(asked: Asked, options: Options, probe: Probe) -> tuple[str, str]:
    """Takes the song into the queue, or joins the one that is there. Returns its hash and the reason to tell."""
    song = song_hash(asked.sha256, options.separation)
    for _ in range(TRIES):
        job = known(asked, options)
        if job is not None:
            if reason := join(job, options.callback):
                return song, reason
        elif _start(song, asked, options, probe):
            announce(events.build(names.SONG_UPLOADED, "upload", song, {"hash": song}))
            logs.info("song accepted", hash=song, bytes=asked.size, seconds=round(probe.seconds, 2))
            return song, "Song enqueued for separation"
    raise Unavailable("This song is being uploaded and removed at the same time; try again.", retry_after=1)


def join(job: Job, callback: Callback | None) -> str | None:
    """Adds a callback to a song that is there already; None when it has gone meanwhile."""
    if callback is None:
        return KNOWN[job.status]
    stores.objects().put_json(job.upload.callback(callback.id), callback.stored())
    status = stores.jobs().attach(job.upload, callback)
    if status not in KNOWN:
        stores.objects().remove([job.upload.callback(callback.id)])
    if status == "full":
        raise Unprocessable(
            f"This song has {MAX_CALLBACKS} callbacks that are still to be called, which is all it may have."
        )
    if status is None:
        return None
    if status == "succeeded":
        announce(events.build(names.CALLBACK_DUE, "upload", job.song, {"hash": job.song, "callback": callback.id}))
    return KNOWN[status]


def check_room() -> None:
    """Raises QueueFull before anything is stored; the record's script looks again."""
    if stores.jobs().waiting() >= settings().max_queue:
        raise _full()


def _start(song: str, asked: Asked, options: Options, probe: Probe) -> bool:
    """Stores the upload below a prefix of its own and queues it. False when another upload of the song was quicker."""
    check_room()
    upload = names.Upload(song, uuid.uuid4().hex)
    try:
        about = _store(upload, asked, options, probe)
    except MedleyError:
        _discard(upload)
        raise
    # When Redis fails here nobody knows whether it has the record: what is stored stays, and the sweep restores it.
    outcome = stores.jobs().accept(upload, about.record(), settings().max_queue, options.callback)
    if outcome == "queued":
        return True
    _discard(upload)
    if outcome == "full":
        raise _full()
    return False


def _store(upload: names.Upload, asked: Asked, options: Options, probe: Probe) -> Song:
    """The audio, the callback, and last the manifest, which makes the upload accepted."""
    about = Song(
        name=clean_name(asked.name or probe.title) or "song",
        separation=options.separation,
        outputs=tuple(output.file for output in options.outputs),
        bitrate=options.bitrate,
        extension=probe.extension,
        bytes=asked.size,
        seconds=probe.seconds,
        created=time.time(),
        traceparent=events.traceparent.get(),
    )
    asked.file.seek(0)
    stores.objects().put(upload.original(about.extension), asked.file, asked.size)
    if options.callback:
        stores.objects().put_json(upload.callback(options.callback.id), options.callback.stored())
    stores.objects().put_json(upload.manifest, about.record() | {"outputs": about.outputs})
    return about


def _discard(upload: names.Upload) -> None:
    """Removes what was stored for nothing; what cannot be removed now the sweep will find."""
    try:
        stores.objects().remove([upload.manifest])
        stores.objects().remove_below(upload.prefix)
    except MedleyError as error:
        logs.error("an upload's leftovers stay for the sweep", prefix=upload.prefix, error=error.detail)


def _full() -> QueueFull:
    return QueueFull(f"{settings().max_queue} songs are waiting; try again later.", retry_after=60)
