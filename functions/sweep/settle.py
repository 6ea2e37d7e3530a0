"""Comparing one song's objects with its record: what is left over goes, what Redis lost is read again."""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from functions.sweep.restore import Restored, callback_id, read_record, read_stored
from medley import events, logs, names, stores
from medley.announce import announce_recorded
from medley.job import Job
from medley.names import Upload
from medley.output import parse_file
from medley.removal import is_of, remove_song
from medley.settings import settings
from medley.stores.objects import Stat


def settle(song: str, stats: Sequence[Stat], *, emptied: bool) -> list[Restored]:
    """Settles one song. Returns the record to restore, if Redis lost it; `emptied` says that it lost all."""
    if not names.is_hash(song):
        return []  # somebody else's
    job = stores.jobs().get(song)
    without: list[Restored] = []
    for upload, found in _uploads(song, stats):
        if job and job.upload_id == upload.id and job.status != "canceled":
            _settle_current(job, found)
        elif job is None and any(stat.name == upload.manifest for stat in found):
            record = read_record(upload, found) if emptied or _old(found) else None
            without += [record] if record else []
        elif _old(found):
            again = _accepted_again(job, upload, found)
            if again:
                without.append(again)
            else:
                _remove_leftovers(job, upload, found)
    return sorted(without, key=lambda record: record.rank)[-1:]


def _uploads(song: str, stats: Sequence[Stat]) -> list[tuple[Upload, list[Stat]]]:
    """The objects below each upload's prefix."""
    below = [stat for stat in stats if stat.name.count("/") > 1]
    groups = groupby(below, key=lambda stat: stat.name.split("/")[1])
    return [(Upload(song, upload_id), list(found)) for upload_id, found in groups]


def _old(found: Sequence[Stat]) -> bool:
    """Whether nobody can be at it any more."""
    return max(stat.modified for stat in found) < time.time() - settings().grace_seconds


def _accepted_again(job: Job | None, upload: Upload, found: Sequence[Stat]) -> Restored | None:
    """The record of an upload that came after a song's end, of which Redis was set back to that end by a failover.

    Or which nobody took into the queue, as a process ended before it could. Its client may have been told that it is.
    """
    if job is None or not job.restarts:
        return None
    record = read_record(upload, found)
    return replace(record, instead_of=job.upload_id) if record and record.created > job.finished else None


def _remove_leftovers(job: Job | None, upload: Upload, found: Sequence[Stat]) -> None:
    """Removes an upload that another one took the place of; clients of whom Redis lost the callback get that one's."""
    if job and job.status not in ("failed", "canceled") and any(stat.name == upload.manifest for stat in found):
        for stat in found:
            if stat.name.startswith(upload.callbacks) and not _known(callback_id(upload, stat.name)):
                _move_callback(job, upload, stat)
    stores.objects().remove(stat.name for stat in found)
    logs.info("leftovers removed", hash=upload.song, objects=len(found))


def _move_callback(job: Job, upload: Upload, stat: Stat) -> None:
    callback = read_stored(upload, stat.name)
    if callback:
        stores.objects().put_json(job.upload.callback(callback.id), callback.stored())
        stores.jobs().attach(job.upload, callback)


def _settle_current(job: Job, found: Sequence[Stat]) -> None:
    """A song with a record: its age, what should be gone, and what should be on record."""
    keep = settings().keep_days * 86400
    if keep and job.ended and job.finished < time.time() - keep:
        _expire(job)
        return
    stale = [stat for stat in found if _stale(job, stat.name.removeprefix(job.upload.prefix))]
    stale += [stat for stat in found if _settled_callback(job, stat.name)]
    old = [stat for stat in stale if _old([stat]) and not _attached_again(job, stat)]
    if old:
        stores.objects().remove(stat.name for stat in old)
        logs.info("leftovers removed", hash=job.song, objects=len(old))
    for stat in found:
        _record_file(job, stat)
    there = {stat.name for stat in found}
    forgotten = [one for one in job.callbacks if job.upload.callback(one) not in there and not _known(one)]
    if forgotten:
        stores.jobs().drop_callbacks(job.song, forgotten)


def _known(callback: str) -> bool:
    return stores.callbacks().get(callback) is not None


def _stale(job: Job, name: str) -> bool:
    """Whether an object came after its stem was removed, or is a part that the song does not consist of."""
    if any(is_of(track, name, job.stems) for track in job.removed):
        return True
    folders = name.split("/")
    return job.status == "succeeded" and folders[0] == "parts" and folders[1] != job.recipe


def _settled_callback(job: Job, name: str) -> bool:
    """Whether an object is of a callback that is settled, or of one that is not on record.

    One on record of which Redis knows no more was settled so long ago that its key has ended: both are written at once.
    """
    if not name.startswith(job.upload.callbacks):
        return False
    callback = callback_id(job.upload, name)
    if callback not in job.callbacks:
        return True
    known = stores.callbacks().get(callback)
    return known is None or known.state not in ("waiting", "due")


def _attached_again(job: Job, stat: Stat) -> bool:
    """Whether an object is of a callback of which Redis, set back by a failover, knows nothing, but does from now on.

    Whoever asked for it may have been told that it will be called. A settled one that is not on record is known, or has
    no object.
    """
    upload = job.upload
    if not stat.name.startswith(upload.callbacks):
        return False
    callback = callback_id(upload, stat.name)
    if callback in job.callbacks or _known(callback):
        return False
    stored = read_stored(upload, stat.name)
    return stored is not None and stores.jobs().attach(upload, stored, lost=True) is not None


def _record_file(job: Job, stat: Stat) -> None:
    """A rendered file that was stored but not recorded."""
    output = parse_file(stat.name.removeprefix(job.upload.prefix))
    if output and output.file not in job.files and job.status == "succeeded":
        stores.jobs().rendered(job.upload, output.file, stat.size, output.sources(job.stems))


def _expire(job: Job) -> None:
    """Removes a song that was kept for long enough, as its client would."""
    event = events.build(names.SONG_REMOVED, "sweep", job.song, {"hash": job.song, "track": None})
    upload = stores.jobs().remove(job.song, event, job.upload_id)
    if upload:
        announce_recorded(event)
        remove_song(upload)
        logs.info("song expired", hash=job.song)
