"""Callbacks in Redis: claimed by one, recorded, settled, sent again."""

import time

from medley import names
from medley.callback import Attempt, Callback
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song
from medley.stores.callbacks import Callbacks
from medley.stores.jobs import Jobs

A = "a" * 64


def due(jobs: Jobs) -> None:
    """One callback, `c`, of a finished song."""
    about = Song("A song", Separation("htdemucs"), (), 320, "mp3", 5, 1.5, 1.0).record()
    jobs.accept(Upload(A, "first"), about, 10, Callback("c", "http://example.com/", None, created=1.0))
    claim = jobs.claim("token", 30)
    assert claim
    jobs.finish(claim, "succeeded", "event", {})


def test_a_due_callback_is_claimed_by_one(jobs: Jobs, callbacks: Callbacks) -> None:
    due(jobs)
    claimed = callbacks.claim("c", 30)
    assert claimed is not None
    assert (claimed.url, claimed.status, claimed.has_data) == ("http://example.com/", "succeeded", False)
    assert callbacks.claim("c", 30) is None


def test_a_claim_that_came_to_nothing_ends(jobs: Jobs, callbacks: Callbacks) -> None:
    due(jobs)
    assert callbacks.claim("c", -1) is not None
    assert callbacks.claim("c", -1) is not None


def test_attempts_are_kept_in_order(jobs: Jobs, callbacks: Callbacks) -> None:
    due(jobs)
    for status in (500, 503):
        claimed = callbacks.claim("c", -1)
        assert claimed is not None
        callbacks.record(claimed, Attempt(time.time(), 0.1, status), "due", time.time() - 1)
    kept = callbacks.get("c")
    assert kept is not None
    assert [attempt.status for attempt in kept.attempts] == [500, 503]
    assert kept.state == "due"


def test_a_settled_callback_is_not_due_any_more_and_ends(jobs: Jobs, callbacks: Callbacks) -> None:
    due(jobs)
    claimed = callbacks.claim("c", 30)
    assert claimed is not None
    callbacks.record(claimed, Attempt(time.time(), 0.1, 200), "delivered", None)
    assert callbacks.next_attempt("c") is None
    assert callbacks.redis.ttl(names.callback_key("c")) > 0


def test_a_settled_callback_can_be_sent_again(jobs: Jobs, callbacks: Callbacks) -> None:
    due(jobs)
    claimed = callbacks.claim("c", 30)
    assert claimed is not None
    callbacks.record(claimed, Attempt(time.time(), 0.1, 410), "gone", None)
    assert callbacks.again("c", "b" * 64) is None
    assert callbacks.again("c", A) == "gone"
    assert callbacks.due(5) == ["c"]
    assert callbacks.redis.ttl(names.callback_key("c")) == -1


def test_a_callback_that_waits_is_not_sent_early(jobs: Jobs, callbacks: Callbacks) -> None:
    about = Song("A song", Separation("htdemucs"), (), 320, "mp3", 5, 1.5, 1.0).record()
    jobs.accept(Upload(A, "first"), about, 10, Callback("c", "http://example.com/", None, created=1.0))
    assert callbacks.again("c", A) == "waiting"
    assert callbacks.due(5) == []


def test_a_lost_callback_is_restored_with_its_record(jobs: Jobs, callbacks: Callbacks) -> None:
    lost = Callback("c", "http://example.com/", [1], has_data=True, created=1.0, song=A, upload_id="first")
    assert jobs.restore(Upload(A, "first"), {"status": "succeeded"}, [lost])
    claimed = callbacks.claim("c", 30)
    assert claimed is not None
    assert (claimed.data, claimed.status, claimed.song, claimed.upload_id) == ([1], "succeeded", A, "first")


def test_a_callback_restored_with_a_queued_song_waits_for_its_end(jobs: Jobs, callbacks: Callbacks) -> None:
    about = Song("A song", Separation("htdemucs"), (), 320, "mp3", 5, 1.5, 1.0).record()
    lost = [Callback(name, f"http://{name}.example/", created=1.0) for name in ("c", "d")]
    assert jobs.restore(Upload(A, "first"), {"status": "queued", **about}, lost)
    assert callbacks.due(5) == []
    claimed = jobs.claim("token", 30)
    assert claimed is not None
    assert jobs.finish(claimed, "succeeded", "event", {}) is not None
    assert sorted(callbacks.due(5)) == ["c", "d"]
    restored = callbacks.claim("d", 30)
    assert restored is not None
    assert (restored.url, restored.has_data) == ("http://d.example/", False)


def test_a_callback_sent_again_while_it_is_tried_is_tried_once_more(jobs: Jobs, callbacks: Callbacks) -> None:
    due(jobs)
    claimed = callbacks.claim("c", 30)
    assert claimed is not None
    assert callbacks.again("c", A) == "due"
    assert not callbacks.record(claimed, Attempt(time.time(), 0.1, 200), "delivered", None)
    assert callbacks.due(5) == ["c"]
    last = callbacks.claim("c", 30)
    assert last is not None
    assert callbacks.record(last, Attempt(time.time(), 0.1, 204), "delivered", None)
    kept = callbacks.get("c")
    assert kept is not None
    assert [attempt.status for attempt in kept.attempts] == [200, 204]
    assert callbacks.due(5) == []
