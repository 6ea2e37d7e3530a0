"""A lease lives as long as the work on its song, and no longer."""

import threading
import time

import pytest

from functions.separate.lease import Lease
from medley import settings, stores
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song
from medley.stores.jobs import Claim

SONG = "a" * 64


@pytest.fixture
def claim(empty_stores: None, monkeypatch: pytest.MonkeyPatch) -> Claim:
    monkeypatch.setenv("LEASE_SECONDS", "1")
    monkeypatch.setenv("LEASE_RENEW_SECONDS", "0.1")
    settings.settings.cache_clear()
    about = Song("A song", Separation("demucs_unittest"), (), 320, "wav", 5, 1.5, 1.0)
    stores.jobs().accept(Upload(SONG, "first"), about.record(), 10, None)
    claimed = stores.jobs().claim("token", 1)
    assert claimed is not None
    return claimed


def test_while_its_work_goes_on_the_worker_is_shown(claim: Claim) -> None:
    beats = threading.Semaphore(0)
    with Lease(claim, lambda: (beats.release(), None)[1], 60, pytest.fail) as lease:
        for _ in range(3):
            assert beats.acquire(timeout=10)
        assert not lease.lost.is_set()


def test_it_is_lost_to_a_removal(claim: Claim) -> None:
    with Lease(claim, lambda: None, 60, pytest.fail) as lease:
        stores.jobs().remove(SONG, "event")
        assert lease.lost.wait(10)


def test_work_that_hangs_is_told_also_when_its_song_was_removed(claim: Claim) -> None:
    """Which is what is done about a song that does not get on."""
    told = threading.Semaphore(0)
    with Lease(claim, lambda: None, 0.3, lambda: (told.release(), None)[1]) as lease:
        stores.jobs().remove(SONG, "event")
        assert told.acquire(timeout=10)
        assert lease.lost.is_set()


def test_work_that_hangs_is_told_and_its_song_goes_to_another(claim: Claim) -> None:
    told = threading.Semaphore(0)
    with Lease(claim, lambda: None, 0.3, lambda: (told.release(), None)[1]):
        assert told.acquire(timeout=10)
        ours = time.monotonic() + 10
        while stores.jobs().claim("other", 1) is None:
            assert time.monotonic() < ours, "nobody else gets it"
            time.sleep(0.1)
    assert not told.acquire(blocking=False)


def test_work_that_goes_on_for_long_does_not_hang(claim: Claim) -> None:
    """As with many passes before the first part, which no time limit ends."""
    told = threading.Semaphore(0)
    with Lease(claim, lambda: None, 2.0, lambda: (told.release(), None)[1]) as lease:
        for _ in range(30):
            time.sleep(0.1)
            lease.goes_on()
        assert not told.acquire(blocking=False)
        assert told.acquire(timeout=10)
