"""Songs on their way through the queue, for the tests of the stores."""

import time

from medley import names
from medley.callback import Callback
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song
from medley.stores.jobs import Claim, Jobs

A, B = "a" * 64, "b" * 64
LEASE = 30.0


def upload(song: str, id_: str = "first") -> Upload:
    return Upload(song, id_)


def about(created: float = 1.0) -> dict[str, str | int | float]:
    return Song("A song", Separation("htdemucs"), ("vocals.mp3",), 320, "mp3", 5, 1.5, created).record()


def callback(id_: str) -> Callback:
    return Callback(id_, f"http://{id_}.example/", {"n": 1}, has_data=True, created=time.time())


def accept(jobs: Jobs, song: str, id_: str = "first", call: Callback | None = None, longest: int = 10) -> str:
    return jobs.accept(upload(song, id_), about(), longest, call)


def claim(jobs: Jobs, token: str = "token") -> Claim:
    claimed = jobs.claim(token, LEASE)
    assert claimed is not None
    return claimed


def expire(jobs: Jobs, song: str) -> None:
    """As if the worker had not been heard of for the length of a lease."""
    jobs.redis.delete(names.lease_key(song))


def finish(jobs: Jobs, song: str = A) -> list[str]:
    accept(jobs, song)
    due = jobs.finish(claim(jobs), "succeeded", "event", {})
    assert due is not None
    return due
