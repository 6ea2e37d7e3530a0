"""What a sweep does with one song, beside what comes in between."""

import time

import pytest

from functions.sweep import settle
from medley import publish, settings, stores
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song
from medley.stores.objects import Stat
from tests.e2e.harness import Called

SONG = "a" * 64
FIRST, SECOND = Upload(SONG, "first"), Upload(SONG, "second")
ABOUT = Song("A song", Separation("demucs_unittest"), (), 320, "wav", 5, 1.5, created=1.0).record()


@pytest.fixture
def kept_for_a_day(empty_stores: None, called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    """`called` is the Broker."""
    monkeypatch.setenv("KEEP_DAYS", "1")
    monkeypatch.setenv("BROKER_URL", called.url)
    settings.settings.cache_clear()
    publish._pool.cache_clear()


def ended(upload: Upload, seconds_ago: float) -> list[Stat]:
    """A song that ended a while ago. Returns its objects."""
    stores.objects().put_json(upload.manifest, ABOUT)
    stores.jobs().restore(upload, {**ABOUT, "status": "succeeded", "finished": time.time() - seconds_ago}, ())
    return list(stores.objects().list())


def test_a_song_that_was_kept_for_long_enough_is_removed_and_that_is_told(kept_for_a_day: None, called: Called) -> None:
    settle.settle(SONG, ended(FIRST, 90_000), emptied=False)
    assert stores.jobs().get(SONG).status == "canceled"  # type: ignore[union-attr]
    assert list(stores.objects().list()) == []
    assert [event["type"] for event in called.bodies] == ["dev.medley.song.removed.v1"]
    assert stores.outbox().older_than(0) == []


def test_a_song_that_is_accepted_again_meanwhile_is_kept(kept_for_a_day: None, called: Called) -> None:
    ended(FIRST, 90_000)
    looked_at = stores.jobs().get(SONG)
    assert looked_at
    stores.redis().flushall()
    ended(SECOND, 0)
    settle._expire(looked_at)
    assert stores.jobs().get(SONG).status == "succeeded"  # type: ignore[union-attr]
    assert called.bodies == []
