"""Comparing one song's objects with its record: what is left over goes, what Redis lost is restored."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from medley import events, logs, names, stores
from medley.callback import Callback
from medley.job import Job
from medley.models import MODELS
from medley.names import Upload
from medley.output import parse_file
from medley.removal import is_of, remove_song
from medley.settings import settings
from medley.song import Done, Song
from medley.stores.objects import Stat


@dataclass(frozen=True)
class Restored:
    """A record as it follows from an upload's objects."""

    upload: Upload
    created: float
    fields: dict[str, str | int | float]
    callbacks: tuple[Callback, ...]


def settle(song: str, stats: Sequence[Stat], *, whole: bool) -> list[Restored]:
    """Settles one song. Returns the record to restore, if it has none; `whole` says that Redis was emptied."""
    if not names.is_hash(song):
        return []  # somebody else's
    job = stores.jobs().get(song)
    without: list[tuple[Upload, list[Stat]]] = []
    for upload, found in _uploads(song, stats):
        if job and job.upload_id == upload.id and job.status != "canceled":
            _settle_current(job, found)
        elif job is None and any(stat.name == upload.manifest for stat in found):
            without.append((upload, found))
        elif _old(found):
            stores.objects().remove(stat.name for stat in found)
            logs.info("leftovers removed", hash=song, objects=len(found))
    ripe = [(upload, found) for upload, found in without if whole or _old(found)]
    read = [_read(upload, found) for upload, found in ripe]
    return sorted(read, key=lambda one: (one.fields["status"] == "succeeded", one.created))[-1:]


def restore(restored: Restored) -> None:
    """Puts a record and its callbacks back."""
    status = str(restored.fields["status"])
    for callback in restored.callbacks:
        stores.callbacks().restore(callback, status if status == "succeeded" else None)
    if stores.jobs().restore(restored.upload.song, restored.fields):
        logs.info("record restored", hash=restored.upload.song, status=status)


def _uploads(song: str, stats: Sequence[Stat]) -> list[tuple[Upload, list[Stat]]]:
    """The objects below each upload's prefix."""
    groups = groupby(stats, key=lambda stat: stat.name.split("/")[1])
    return [(Upload(song, upload_id), list(found)) for upload_id, found in groups]


def _old(found: Sequence[Stat]) -> bool:
    """Whether nobody can be at it any more."""
    return max(stat.modified for stat in found) < time.time() - settings().grace_seconds


def _settle_current(job: Job, found: Sequence[Stat]) -> None:
    """A song with a record: its age, and objects that came after their stem was removed or their recipe dropped."""
    keep = settings().keep_days * 86400
    if keep and job.ended and job.finished < time.time() - keep:
        _expire(job)
        return
    stale = [stat for stat in found if _stale(job, stat.name.removeprefix(job.upload.prefix))]
    if stale and _old(stale):
        stores.objects().remove(stat.name for stat in stale)
        logs.info("leftovers removed", hash=job.song, objects=len(stale))
    for stat in found:
        _record_file(job, stat)


def _record_file(job: Job, stat: Stat) -> None:
    """A rendered file that was stored but not recorded."""
    output = parse_file(stat.name.removeprefix(job.upload.prefix))
    if output and output.file not in job.files and job.status == "succeeded":
        stores.jobs().rendered(job.upload, output.file, stat.size, output.sources(MODELS[job.model].stems))


def _stale(job: Job, name: str) -> bool:
    stems = MODELS[job.model].stems
    if any(is_of(track, name, stems) for track in job.removed):
        return True
    folders = name.split("/")
    return job.status == "succeeded" and folders[0] == "parts" and folders[1] != job.recipe


def _expire(job: Job) -> None:
    """Removes a song that was kept for long enough, as its client would."""
    event = events.build(names.SONG_REMOVED, "sweep", job.song, {"hash": job.song, "track": None})
    upload = stores.jobs().remove(job.song, event)
    if upload:
        remove_song(upload)
        logs.info("song expired", hash=job.song)


# --- What Redis lost ---


def _read(upload: Upload, found: Sequence[Stat]) -> Restored:
    """The record that follows from an upload's objects: succeeded if its separation is whole, else queued."""
    song = Song.read(stores.objects().read_json(upload.manifest))
    fields: dict[str, str | int | float] = {"status": "queued", "upload": upload.id, **song.record()}
    manifest = stores.objects().read_json(upload.done)
    if manifest:
        done = Done.read(manifest)
        finished = max(stat.modified for stat in found if stat.name == upload.done)
        fields |= {"status": "succeeded", "finished": finished, **done.record(), **_files(upload, found)}
        fields |= _removed(upload, done, found)
    callbacks = tuple(_callback(upload, stat) for stat in found if stat.name.startswith(upload.callbacks))
    fields |= {f"callback:{callback.id}": "" for callback in callbacks}
    return Restored(upload, song.created, fields, callbacks)


def _files(upload: Upload, found: Sequence[Stat]) -> dict[str, int]:
    files = {stat.name.removeprefix(upload.prefix): stat.size for stat in found}
    return {f"file:{file}": size for file, size in files.items() if parse_file(file)}


def _removed(upload: Upload, done: Done, found: Sequence[Stat]) -> dict[str, float]:
    """Tracks of a whole separation that are not there: somebody removed them."""
    there = {stat.name for stat in found}
    gone = [stem for stem in done.stems if upload.part(done.recipe, stem, 0) not in there]
    if not any(name.startswith(f"{upload.prefix}original.") for name in there):
        gone.append("original")
    return {f"removed:{track}": time.time() for track in gone}


def _callback(upload: Upload, stat: Stat) -> Callback:
    about = stores.objects().read_json(stat.name)
    return Callback(
        id=stat.name.removeprefix(upload.callbacks).removesuffix(".json"),
        url=about["url"],
        data=about.get("data"),
        has_data="data" in about,
        created=about["created"],
        song=upload.song,
        upload_id=upload.id,
    )
