"""Songs that a worker cannot do hold up no others, with real stores."""

import errno
import gc
import io
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from functions.separate import attempt, engine, loading, source
from functions.separate import worker as module
from functions.separate.networks import Ensemble
from functions.separate.renders import Render
from functions.separate.worker import Worker
from medley import names, settings, stores
from medley.errors import Crash, Unavailable
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song
from medley.stores.jobs import Jobs
from medley.stores.objects import Objects, Opened
from tests import sounds
from tests.backends import free_port
from tests.functions.conftest import CACHED

A, B, C = "a" * 64, "b" * 64, "c" * 64
HERE, ELSEWHERE = "demucs_unittest", "masks"  # one that every worker has, and one from a package that is not here


@pytest.fixture(autouse=True)
def short(empty_stores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is away is not waited for long."""
    monkeypatch.setenv("LEASE_SECONDS", "0.5")
    monkeypatch.setenv("LEASE_RENEW_SECONDS", "0.2")
    settings.settings.cache_clear()


def queue(song: str, model: str = HERE, outputs: tuple[str, ...] = ()) -> Upload:
    upload, audio = Upload(song, "first"), sounds.wav()
    stores.objects().put(upload.original("wav"), io.BytesIO(audio), len(audio))
    about = Song("A song", Separation(model), outputs, 320, "wav", 5, 1.5, 1.0)
    assert stores.jobs().accept(upload, about.record(), 10, None) == "queued"
    return upload


def status(song: str) -> tuple[str, int]:
    job = stores.jobs().get(song)
    assert job is not None
    return job.status, job.attempts


def claimed(song: str) -> bool:
    """Ever."""
    return bool(stores.redis().hexists(names.song_key(song), "started"))


def test_a_model_that_cannot_be_loaded_holds_up_no_other() -> None:
    queue(A, ELSEWHERE)
    queue(B)
    queue(C, ELSEWHERE)
    with pytest.raises(Unavailable, match="The model cannot be loaded: the weights of masks"):
        Worker().work()
    assert [status(A), status(B)[0], status(C)] == [("queued", 0), "succeeded", ("queued", 0)]
    assert stores.jobs().queue() == [A, C]
    assert [claimed(A), claimed(C)] == [True, False]  # it is not tried for each of its songs
    (worker,) = stores.jobs().workers()
    assert worker["state"].startswith("cannot load the model: the weights of masks")


class Held:
    """In the place of half a model."""


def test_what_failed_holds_no_memory_while_others_are_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Held]] = []
    left: list[Held] = []

    def load(model: str, *_: object) -> Ensemble:
        if model == ELSEWHERE:
            half = Held()
            held.append(weakref.ref(half))
            raise RuntimeError("CUDA out of memory")
        gc.collect()
        left.extend(filter(None, (each() for each in held)))
        return loading.load(model, "cpu", "exact", "")

    monkeypatch.setattr(engine, "load", load)
    queue(A, ELSEWHERE)
    queue(B)
    with pytest.raises(Unavailable, match="CUDA out of memory"):
        Worker().work()
    assert (len(held), left, status(B)[0]) == (1, [], "succeeded")


def test_every_request_tries_again() -> None:
    worker = Worker()
    queue(A, ELSEWHERE)
    with pytest.raises(Unavailable):
        worker.work()
    stores.redis().hset(names.song_key(A), "model", HERE)
    worker.work()
    assert status(A)[0] == "succeeded"
    (shown,) = stores.jobs().workers()
    assert shown["state"] == "idle"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Upload], None]:
    """Makes the store answer with errors where this upload's original is read."""

    def refuse(upload: Upload) -> None:
        read = Objects.open

        def open_(self: Objects, name: str, *arguments: int) -> Opened | None:
            if name == upload.original("wav"):
                raise Unavailable("The object store does not answer; try again in a moment.")
            return read(self, name, *arguments)

        monkeypatch.setattr(Objects, "open", open_)

    return refuse


def test_a_song_that_cannot_be_read_holds_up_no_other(unreadable: Callable[[Upload], None]) -> None:
    unreadable(queue(A))
    queue(B)
    with pytest.raises(Unavailable, match="does not answer"):
        Worker().work()
    assert (status(A), status(B)[0]) == (("queued", 0), "succeeded")


def begun(song: str, seconds_ago: float) -> None:
    """As if it had been claimed for the first time then."""
    stores.redis().hset(names.song_key(song), "started", time.time() - seconds_ago)


@pytest.mark.parametrize(("seconds_ago", "end"), [(80_000, "queued"), (90_000, "failed")])
def test_a_song_that_cannot_be_read_for_a_day_has_failed(
    unreadable: Callable[[Upload], None], seconds_ago: float, end: str
) -> None:
    """Else it would keep its worker awake for ever."""
    unreadable(queue(A))
    begun(A, seconds_ago)
    with nullcontext() if end == "failed" else pytest.raises(Unavailable):
        Worker().work()
    assert status(A)[0] == end


@pytest.mark.parametrize("what", ["S3 away", "draining", "Redis full"])
def test_no_song_fails_by_what_all_would_fail_by(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(A)
    begun(A, 90_000)
    if what == "S3 away":
        monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
        for cached in CACHED:
            cached.cache_clear()

    def away(*_: object) -> None:
        if what == "draining":
            monkeypatch.setattr(module, "draining", SimpleNamespace(is_set=lambda: True))
        if what == "Redis full":
            monkeypatch.setattr(Jobs, "renew", away)
        raise Unavailable("It does not answer.")

    if what != "S3 away":
        monkeypatch.setattr(attempt, "decoded", away)
    for _ in range(2):
        monkeypatch.setattr(module, "draining", SimpleNamespace(is_set=lambda: False))
        with pytest.raises(Unavailable):
            Worker().work()
        assert status(A) == ("queued", 0)


def test_a_song_whose_model_cannot_be_loaded_does_not_fail_by_that() -> None:
    queue(A, ELSEWHERE)
    begun(A, 1_000_000)
    with pytest.raises(Unavailable):
        Worker().work()
    assert status(A) == ("queued", 0)


def test_a_part_that_cannot_be_read_fails_its_file_and_not_the_song(monkeypatch: pytest.MonkeyPatch) -> None:
    upload, read = queue(A, outputs=("vocals.wav", "drums.wav")), Objects.open

    def open_(self: Objects, name: str, *arguments: int) -> Opened | None:
        if name.endswith("vocals/000000.flac"):
            raise Unavailable("The object store does not answer; try again in a moment.")
        return read(self, name, *arguments)

    monkeypatch.setattr(Objects, "open", open_)
    monkeypatch.setattr(Render, "_stored", lambda _: False)  # nothing is rendered along the way
    Worker().work()
    job = stores.jobs().get(A)
    assert job is not None
    assert (job.status, set(job.files), set(job.unrendered)) == ("succeeded", {"drums.wav"}, {"vocals.wav"})
    assert stores.objects().stat(upload.done)


def test_what_redis_did_unheard_is_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that stalls does what it was asked when it goes on; a song would fail with no worker ever at it."""
    queue(A)
    worker, claim = Worker(), Jobs.claim

    def unheard(*arguments: Any) -> None:
        claim(*arguments)
        raise Unavailable("Redis does not answer; try again in a moment.")

    with monkeypatch.context() as stalled:
        stalled.setattr(Jobs, "claim", unheard)
        for _ in range(3):
            with pytest.raises(Unavailable):
                worker.work()
            stores.redis().delete(names.lease_key(A))  # as if it had run out
    assert status(A) == ("processing", 1)
    worker.work()
    assert status(A)[0] == "succeeded"


def test_a_song_that_could_not_be_given_back_goes_on_as_the_same_attempt(
    unreadable: Callable[[Upload], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable(queue(A))
    worker = Worker()

    def away(*_: object, **__: object) -> bool:
        stalled.setattr(Jobs, "claim", away)
        raise Unavailable("Redis does not answer; try again in a moment.")

    for _ in range(3):
        with monkeypatch.context() as stalled:
            stalled.setattr(Jobs, "give_back", away)
            with pytest.raises(Unavailable):
                worker.work()
        stores.redis().delete(names.lease_key(A))
    assert status(A) == ("processing", 1)


def test_where_the_store_is_away_no_other_song_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    queue(A)
    queue(B)
    monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    for cached in CACHED:
        cached.cache_clear()
    with pytest.raises(Unavailable, match="does not answer"):
        Worker().work()
    assert (status(A), status(B)) == (("queued", 0), ("queued", 0))
    assert [claimed(A), claimed(B)] == [True, False]


def test_an_attempt_that_counts_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails oddly may be this worker's fault, and would cost every song one, and soon fail them all."""

    def odd(_: object) -> None:
        raise RuntimeError

    queue(A)
    queue(B)
    monkeypatch.setattr(attempt, "decoded", odd)
    with pytest.raises(Crash, match="RuntimeError"):
        Worker().work()
    assert (status(A), claimed(B)) == (("queued", 1), False)


def test_a_full_disk_costs_no_song_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    queue(A)
    queue(B)
    monkeypatch.setattr(source, "TemporaryFile", full)
    for _ in range(4):
        with pytest.raises(Unavailable, match="No space left"):
            Worker().work()
    assert (status(A), status(B)) == (("queued", 0), ("queued", 0))
