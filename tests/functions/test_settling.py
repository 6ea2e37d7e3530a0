"""What a sweep does with one song, beside what comes in between."""

import time
from dataclasses import replace
from typing import Any

import pytest

from functions.sweep import restore, settle
from functions.sweep.sweep import announce_songs
from medley import names, publish, settings, stores
from medley.callback import Callback
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


def ended(upload: Upload, seconds_ago: float, *callbacks: Callback) -> list[Stat]:
    """A song that ended a while ago. Returns its objects."""
    stores.objects().put_json(upload.manifest, ABOUT)
    for callback in callbacks:
        stores.objects().put_json(upload.callback(callback.id), callback.stored())
    fields = {**ABOUT, "status": "succeeded", "finished": time.time() - seconds_ago}
    stores.jobs().restore(upload, fields, callbacks)
    return list(stores.objects().list())


def told(broker: Called) -> list[str]:
    """The events that came, but for the lines of a log."""
    return [event["type"] for event in broker.bodies if event["type"] != names.LOG_WRITTEN]


def old(found: list[Stat]) -> list[Stat]:
    """As if nobody could be at them any more."""
    return [replace(stat, modified=0.0) for stat in found]


def test_a_song_that_was_kept_for_long_enough_is_removed_and_that_is_told(kept_for_a_day: None, called: Called) -> None:
    settle.settle(SONG, ended(FIRST, 90_000), emptied=False)
    assert stores.jobs().get(SONG).status == "canceled"  # type: ignore[union-attr]
    assert list(stores.objects().list()) == []
    assert told(called) == [names.SONG_REMOVED]
    assert stores.outbox().older_than(0) == []


def test_a_song_that_is_accepted_again_meanwhile_is_kept(kept_for_a_day: None, called: Called) -> None:
    ended(FIRST, 90_000)
    looked_at = stores.jobs().get(SONG)
    assert looked_at
    stores.redis().flushall()
    ended(SECOND, 0)
    settle._expire(looked_at)
    assert stores.jobs().get(SONG).status == "succeeded"  # type: ignore[union-attr]
    assert told(called) == []


def test_a_callback_that_was_settled_so_long_ago_that_redis_forgot_it_leaves_the_store(empty_stores: None) -> None:
    callbacks = [Callback(name, "http://example.com/", created=1.0) for name in ("settled", "due")]
    found = old(ended(FIRST, 0, *callbacks))
    stores.redis().delete(names.callback_key("settled"))
    settle.settle(SONG, found, emptied=False)
    assert {stat.name for stat in stores.objects().list()} == {FIRST.manifest, FIRST.callback("due")}
    settle.settle(SONG, old(list(stores.objects().list())), emptied=False)
    assert stores.jobs().get(SONG).callbacks == ("due",)  # type: ignore[union-attr]


def test_a_callback_that_goes_over_to_another_upload_is_read_once(
    empty_stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(SECOND, 0)
    asked = Callback("c", "http://example.com/", None, has_data=True, created=1.0)
    stores.objects().put_json(FIRST.manifest, ABOUT)
    stores.objects().put_json(FIRST.callback("c"), asked.stored())
    read = stores.objects().read_json

    def read_and_gone(name: str) -> Any:
        """Somebody removes it right after it was read."""
        about = read(name)
        stores.objects().remove([name])
        return about

    monkeypatch.setattr(stores.objects(), "read_json", read_and_gone)
    settle.settle(SONG, old(list(stores.objects().list())), emptied=False)
    assert read(SECOND.callback("c")) == {"url": "http://example.com/", "created": 1.0, "data": None}
    assert stores.callbacks().due(5) == ["c"]


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_a_callback_of_which_redis_was_set_back_is_called_all_the_same(empty_stores: None, end: str) -> None:
    ended(FIRST, 0)
    stores.redis().hset(names.song_key(SONG), "status", end)
    asked = Callback("c", "http://example.com/", created=1.0)
    stores.objects().put_json(FIRST.callback("c"), asked.stored())
    settle.settle(SONG, old(list(stores.objects().list())), emptied=False)
    assert stores.callbacks().due(5) == ["c"]
    assert stores.objects().stat(FIRST.callback("c"))


def test_no_more_songs_are_announced_than_can_be_worked_on(
    empty_stores: None, called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event would hold a place before `separate`, and start a worker that finds nothing."""
    for song in ("b", "c", "d"):
        stores.jobs().accept(Upload(song * 64, "first"), ABOUT, 9, None)
    monkeypatch.setenv("MAX_WORKERS", "2")
    monkeypatch.setenv("BROKER_URL", called.url)
    settings.settings.cache_clear()
    publish._pool.cache_clear()
    announce_songs()
    assert [event["subject"] for event in called.bodies] == ["b" * 64, "c" * 64]


def set_back_to(end: str) -> Upload:
    """A song that ended, and an upload after it that was accepted and that Redis knows nothing of any more."""
    ended(FIRST, 90)
    stores.redis().hset(names.song_key(SONG), "status", "succeeded" if end == "a stem removed" else end)
    if end == "a stem removed":
        stores.redis().hset(names.song_key(SONG), f"{names.REMOVED}vocals", time.time())
    stores.objects().put_json(SECOND.manifest, {**ABOUT, "created": time.time()})
    asked = Callback("c", "http://example.com/", created=1.0)
    stores.objects().put_json(SECOND.callback("c"), asked.stored())
    return SECOND


@pytest.mark.parametrize("end", ["failed", "canceled", "a stem removed"])
def test_an_upload_of_which_redis_was_set_back_is_separated_all_the_same(empty_stores: None, end: str) -> None:
    upload = set_back_to(end)
    (record,) = settle.settle(SONG, old(list(stores.objects().list())), emptied=False)
    restore.restore(record)
    job = stores.jobs().get(SONG)
    assert job
    assert (job.upload_id, job.status, job.removed, job.callbacks) == (upload.id, "queued", (), ("c",))
    assert stores.jobs().queue() == [SONG]
    assert stores.objects().stat(upload.callback("c"))


def test_who_uploads_once_more_meanwhile_is_not_set_back(empty_stores: None) -> None:
    set_back_to("failed")
    (record,) = settle.settle(SONG, old(list(stores.objects().list())), emptied=False)
    stores.jobs().accept(Upload(SONG, "third"), ABOUT, 9, None)
    restore.restore(record)
    assert stores.jobs().get(SONG).upload_id == "third"  # type: ignore[union-attr]


def test_what_was_stored_in_vain_before_the_end_is_a_leftover(empty_stores: None) -> None:
    upload = set_back_to("failed")
    stores.objects().put_json(upload.manifest, ABOUT)
    assert settle.settle(SONG, old(list(stores.objects().list())), emptied=False) == []
    assert stores.objects().stat(upload.manifest) is None
