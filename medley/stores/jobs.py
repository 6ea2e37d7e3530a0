"""The live state of songs in Redis: the queue, the job records, leases and workers."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medley import names
from medley.callback import MAX_CALLBACKS, Callback
from medley.job import Job, read_job
from medley.stores.redis import Client

Fields = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Claim:
    """A song that a worker holds. The token is the fence: a write with another one changes nothing."""

    job: Job
    token: str


class Jobs:
    """Every change of a job is one script, so that none is ever half done."""

    def __init__(self, client: Client) -> None:
        self.redis = client

    # --- Reading ---

    def get(self, song: str) -> Job | None:
        record: dict[str, str] = self.redis.hgetall(names.song_key(song))
        return read_job(song, record) if record else None

    def queue(self) -> list[str]:
        """The hashes waiting or being worked on, oldest first."""
        return list(self.redis.lrange(names.TO_WORKER, 0, -1))

    def waiting(self) -> int:
        """How many there are in the queue."""
        return int(self.redis.llen(names.TO_WORKER))

    def position(self, song: str) -> int | None:
        """How many come before a song in the queue; None for one that is not in it."""
        found = self.redis.lpos(names.TO_WORKER, song)
        return None if found is None else int(found)

    def unheld(self, limit: int) -> list[str]:
        """The oldest songs in the queue that no worker holds, `limit` at most."""
        found: list[str] = []
        for song in self.queue():
            if len(found) == limit:
                break
            if not self.redis.exists(names.lease_key(song)):
                found.append(song)
        return found

    # --- From upload ---

    def accept(self, upload: names.Upload, fields: Fields, longest: int, callback: Callback | None) -> str:
        """Queues a stored upload. Returns "queued", "known" (another upload of the song is live) or "full"."""
        call = callback or Callback.none()
        keys = [names.song_key(upload.song), names.TO_WORKER, names.callback_key(call.id)]
        return str(self.redis.run("accept", keys, upload.song, upload.id, longest, *_asked(call), *_flat(fields)))

    def attach(self, upload: names.Upload, callback: Callback, *, lost: bool = False) -> str | None:
        """Adds a callback, in place of the oldest settled one where those are many; of a failed song only a `lost` one.

        Returns the song's status, "full" when too many are not settled, None when it has another upload.
        """
        keys = [names.song_key(upload.song), names.callback_key(callback.id), names.CALLBACKS]
        args = (upload.song, upload.id, *_asked(callback), MAX_CALLBACKS, names.callback_key(""), int(lost))
        status = self.redis.run("attach", keys, *args)
        return str(status) if status else None

    # --- From separate ---

    def claim(self, token: str, lease: float, passed_over: Collection[str] = ()) -> Claim | None:
        """The oldest song that nobody holds, held from now on for `lease` seconds at a time.

        Songs, and models with all of their songs, that are `passed_over` keep their places.
        """
        args = (token, int(lease * 1000), time.time(), names.song_key(""), names.lease_key(""), *passed_over)
        found = self.redis.run("claim", [names.TO_WORKER], *args)
        if not found:
            return None
        song, flat = found
        return Claim(read_job(song, dict(zip(flat[::2], flat[1::2], strict=True))), token)

    def renew(self, claim: Claim, lease: float) -> bool:
        """False when another attempt or a removal came between."""
        return bool(self.redis.run("renew", _held(claim), claim.token, int(lease * 1000)))

    def progress(self, claim: Claim, lease: float, segments: int, fields: Fields) -> bool:
        """Records progress and `segments` more computed. False when another attempt or a removal came between."""
        args = (claim.token, int(lease * 1000), segments, *_flat(fields))
        return bool(self.redis.run("progress", _held(claim), *args))

    def give_back(self, claim: Claim, *, counts: bool = False) -> bool:
        """The song keeps its place in the queue; the attempt counts only if it `counts`."""
        return bool(self.redis.run("give_back", _held(claim), claim.token, int(counts)))

    def finish(self, claim: Claim, status: str, event: str, fields: Fields) -> list[str] | None:
        """Ends the job. Returns the callbacks due now, None when another attempt or a removal came between."""
        song = claim.job.song
        keys = [*_held(claim), names.TO_WORKER, names.CALLBACKS, names.OUTBOX]
        args = (song, claim.token, status, time.time(), event, names.callback_key(""), *_flat(fields))
        due = self.redis.run("finish", keys, *args)
        return None if due is None else list(due)

    def rendered(self, upload: names.Upload, file: str, size: int, stems: Sequence[str]) -> bool:
        """Records a rendered file. False when the song is not any more what it was made of: remove it again."""
        return bool(self.redis.run("rendered", [names.song_key(upload.song)], upload.id, file, size, *stems))

    # --- From delete and sweep ---

    def remove(self, song: str, event: str, only: str = "") -> names.Upload | None:
        """Marks a song as removed, or `only` one upload of it: it may have been accepted again since it was looked at.

        Returns the upload whose objects are to go, None when there is no such song.
        """
        keys = [names.song_key(song), names.lease_key(song), names.TO_WORKER]
        keys += [names.CALLBACKS, names.OUTBOX, names.REMOVING]
        upload = self.redis.run("remove", keys, song, time.time(), event, names.callback_key(""), only)
        return names.Upload(song, upload) if upload else None

    def forget(self, upload: names.Upload, keep: float) -> None:
        """After the objects of a removed upload are gone."""
        keys = [names.song_key(upload.song), names.REMOVING]
        self.redis.run("forget", keys, upload.song, upload.id, max(1, int(keep)))

    def remove_track(self, song: str, track: str, event: str) -> tuple[str, str, bool]:
        """Marks a track as removed. Returns status and upload of the song, and whether this call removed it."""
        keys = [names.song_key(song), names.OUTBOX, names.REMOVING]
        status, upload, new = self.redis.run("remove_track", keys, song, track, time.time(), event)
        return status, upload, bool(new)

    def forget_track(self, upload: names.Upload, track: str, files: Sequence[str]) -> None:
        """After the objects of a removed track are gone."""
        keys = [names.song_key(upload.song), names.REMOVING]
        self.redis.run("forget_track", keys, upload.song, upload.id, track, *files)

    def removing(self) -> list[str]:
        """What is marked as removed and may still have objects: `<hash>/<upload>` or `<hash>/<upload>/<track>`."""
        return sorted(self.redis.smembers(names.REMOVING))

    def restore(
        self, upload: names.Upload, fields: Fields, callbacks: Sequence[Callback], instead_of: str = ""
    ) -> bool:
        """Puts a record back that Redis lost, with its callbacks, also `instead_of` an ended upload's.

        False when there is another.
        """
        keys = [names.song_key(upload.song), names.TO_WORKER, names.CALLBACKS]
        asked = [item for callback in callbacks for item in _asked(callback)]
        args = (upload.song, upload.id, time.time(), names.callback_key(""), instead_of, len(callbacks), *asked)
        return bool(self.redis.run("restore", keys, *args, *_flat(fields)))

    def drop_callbacks(self, song: str, callbacks: Sequence[str]) -> None:
        """Takes settled ones off the record, of which nothing is known any more."""
        self.redis.hdel(names.song_key(song), *(f"{names.CALLBACK}{callback}" for callback in callbacks))

    # --- Workers ---

    def seen(self, worker: str, about: Mapping[str, Any], ttl: float) -> None:
        """Shows what a worker is at, for `ttl` seconds."""
        self.redis.set(names.worker_key(worker), json.dumps({"id": worker, **about}), ex=max(1, int(ttl)))
        self.redis.zadd(names.WORKERS, {worker: time.time()})

    def workers(self) -> list[dict[str, Any]]:
        """The workers seen lately."""
        known = list(self.redis.zrange(names.WORKERS, 0, -1))
        texts = self.redis.mget([names.worker_key(worker) for worker in known]) if known else []
        gone = [worker for worker, text in zip(known, texts, strict=True) if text is None]
        if gone:
            self.redis.zrem(names.WORKERS, *gone)
        return [json.loads(text) for text in texts if text is not None]


def _asked(callback: Callback) -> tuple[str, str, str, float]:
    """Its id, url, data and time, as the scripts take them."""
    return callback.id, callback.url, json.dumps(callback.data) if callback.has_data else "", callback.created


def _held(claim: Claim) -> list[str]:
    return [names.song_key(claim.job.song), names.lease_key(claim.job.song)]


def _flat(fields: Fields) -> list[str | int | float]:
    """Field, value, field, value, as the scripts take them."""
    return [item for pair in fields.items() for item in pair]
