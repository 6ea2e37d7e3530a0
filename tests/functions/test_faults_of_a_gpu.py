"""What becomes of a song when what computes it fails, with real stores and networks that fail on purpose."""

import gc
import io
import os
import signal
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
import torch

from functions.separate import engine
from functions.separate import worker as module
from functions.separate.networks import Ensemble, Network
from functions.separate.separator import Separator
from functions.separate.worker import Worker
from medley import settings, stores
from medley.errors import Crash, DeviceLost, OutOfMemory, Unavailable
from medley.job import Job
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song
from tests import sounds
from tests.networks import ours, separator, small

SONG = "a" * 64
Fail = Callable[[torch.Tensor], torch.Tensor]
UPLOAD = Upload(SONG, "first")


@pytest.fixture
def queued(empty_stores: None) -> Callable[[], Job]:
    """A song that waits; what is called gives its record."""
    about = Song("A song", Separation("demucs_unittest"), (), 320, "wav", 5, 1.5, 1.0)
    stores.objects().put(UPLOAD.original("wav"), io.BytesIO(audio := sounds.wav()), len(audio))
    assert stores.jobs().accept(UPLOAD, about.record(), 10, None) == "queued"

    def record() -> Job:
        job = stores.jobs().get(SONG)
        assert job is not None
        return job

    return record


class Failing:
    """A network whose results go through `fail`."""

    def __init__(self, network: Network, fail: Fail) -> None:
        self.segment, self.seen = network.segment, network.seen
        self._network, self._fail = network, fail

    def __call__(self, segments: torch.Tensor) -> torch.Tensor:
        return self._fail(self._network(segments))


def failing(ensemble: Ensemble, fail: Fail) -> Ensemble:
    return replace(ensemble, networks=[Failing(network, fail) for network in ensemble.networks])


def at_work(monkeypatch: pytest.MonkeyPatch, fail: Fail, *, exactly_too: bool = False) -> Worker:
    """A worker whose network fails, where it computes exactly only if told so."""

    class Engine:
        before: Callable[[], object] = staticmethod(lambda: None)
        made = 0

        def separator(self, separation: Separation, seed: str, begun: str, *, exactly: bool = False) -> Separator:
            gc.collect()
            assert not exactly or self.before() is None  # a GPU may not hold two models
            exact = ours(small())
            if exactly_too:
                made = separator(failing(exact, fail))
            else:
                made = separator(exact if exactly else replace(failing(exact, fail), precision="fast"))
            self.made += 1
            self.before = weakref.ref(made.ensemble)
            return made

    ready: Future[Any] = Future()
    ready.set_result(Engine())
    monkeypatch.setattr(module, "_engine", Engine)
    worker = Worker()
    worker._engine = ready
    return worker


def test_a_song_that_overflows_is_computed_exactly(queued: Callable[[], Job], monkeypatch: pytest.MonkeyPatch) -> None:
    at_work(monkeypatch, lambda stems: torch.where(stems == stems.max(), torch.inf, stems)).work()
    assert queued().status == "succeeded"
    assert [computed.precision for computed in queued().computed] == ["fast", "exact"]


def raising(error: Exception) -> Fail:
    def fail(*_: object) -> torch.Tensor:
        raise error

    return fail


def test_a_process_whose_gpu_failed_ends_and_gives_the_song_back(
    queued: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *about: told.append(about))
    with pytest.raises(DeviceLost, match="an illegal memory access"):
        at_work(monkeypatch, raising(torch.AcceleratorError("an illegal memory access"))).work()
    assert told == [(os.getppid(), signal.SIGTERM)]
    assert (queued().status, queued().attempts) == ("queued", 1)


def test_a_process_whose_gpu_failed_ends_also_while_the_store_is_away(
    queued: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []

    def away(*_: object, **__: object) -> bool:
        raise Unavailable("Redis does not answer.")

    monkeypatch.setattr(os, "kill", lambda *about: told.append(about))
    monkeypatch.setattr(stores.jobs(), "give_back", away)
    with pytest.raises(Unavailable):
        at_work(monkeypatch, raising(torch.AcceleratorError("an illegal memory access"))).work()
    assert told == [(os.getppid(), signal.SIGTERM)]


def test_a_gpu_that_fails_while_a_model_is_loaded_ends_its_process_too(
    queued: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is not the song's doing, and counts as no attempt at it."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *about: told.append(about))
    monkeypatch.setattr(engine, "load", raising(torch.AcceleratorError("an illegal memory access")))
    worker = Worker()
    with pytest.raises(DeviceLost, match="an illegal memory access"):
        worker.work()
    assert told == [(os.getppid(), signal.SIGTERM)]
    assert (queued().status, queued().attempts) == ("queued", 0)


def test_a_song_for_which_there_is_never_enough_memory_fails_with_that(
    queued: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = at_work(monkeypatch, raising(OutOfMemory("not enough memory for one segment")))
    for _ in range(settings.settings().max_attempts - 1):
        with pytest.raises(Crash):
            worker.work()
    worker.work()
    assert queued().status == "failed"
    assert "not enough memory for one segment" in str(queued().error)


def test_a_song_that_overflows_exactly_too_fails(queued: Callable[[], Job], monkeypatch: pytest.MonkeyPatch) -> None:
    worker = at_work(monkeypatch, lambda stems: stems / 0, exactly_too=True)
    with pytest.raises(Crash, match="too large for the precision"):
        worker.work()
    assert queued().status == "queued"
    assert worker._engine.result().made == 1  # and not again, the same way
