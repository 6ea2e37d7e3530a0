"""Jobs: each rule that keeps a song from being lost, done twice, or changed by one who was overtaken."""

import json
import time
from pathlib import Path

import pytest

from medley import names
from medley.callback import MAX_CALLBACKS, Attempt
from medley.errors import Unavailable
from medley.stores.callbacks import Callbacks
from medley.stores.jobs import Jobs
from medley.stores.redis import connect
from tests.backends import redis_like
from tests.stores.songs import LEASE, A, B, about, accept, callback, claim, expire, finish, upload


def test_what_is_accepted_can_be_read_back(jobs: Jobs) -> None:
    assert accept(jobs, A, call=callback("c")) == "queued"
    job = jobs.get(A)
    assert job is not None
    assert (job.status, job.upload_id, job.name, job.outputs) == ("queued", "first", "A song", ("vocals.mp3",))
    assert job.callbacks == ("c",)
    assert jobs.queue() == [A]


def test_accepting_the_same_upload_twice_queues_it_once(jobs: Jobs) -> None:
    assert [accept(jobs, A), accept(jobs, A)] == ["queued", "queued"]
    assert jobs.queue() == [A]


def test_how_many_come_before_a_song(jobs: Jobs) -> None:
    assert (jobs.waiting(), jobs.position(A)) == (0, None)
    accept(jobs, A)
    accept(jobs, B)
    assert (jobs.waiting(), jobs.position(A), jobs.position(B)) == (2, 0, 1)


def test_another_upload_of_a_live_song_is_known(jobs: Jobs) -> None:
    accept(jobs, A)
    assert accept(jobs, A, "second") == "known"
    assert jobs.get(A).upload_id == "first"  # type: ignore[union-attr]


def test_a_full_queue_takes_no_more(jobs: Jobs) -> None:
    accept(jobs, A, longest=1)
    assert accept(jobs, B, longest=1) == "full"
    assert jobs.get(B) is None


@pytest.mark.parametrize("end", ["failed", "canceled", "a stem removed"])
def test_uploading_again_starts_again(jobs: Jobs, end: str) -> None:
    accept(jobs, A)
    if end == "canceled":
        jobs.remove(A, "event")
    else:
        jobs.finish(claim(jobs), "failed" if end == "failed" else "succeeded", "event", {})
    if end == "a stem removed":
        jobs.remove_track(A, "vocals", "event")
    assert jobs.get(A).restarts  # type: ignore[union-attr]
    assert accept(jobs, A, "second") == "queued"
    job = jobs.get(A)
    assert job is not None
    assert (job.status, job.upload_id, job.removed) == ("queued", "second", ())


def test_a_removed_original_does_not_start_it_again(jobs: Jobs) -> None:
    finish(jobs)
    jobs.remove_track(A, "original", "event")
    assert not jobs.get(A).restarts  # type: ignore[union-attr]
    assert accept(jobs, A, "second") == "known"


def test_the_oldest_unheld_song_is_claimed(jobs: Jobs) -> None:
    accept(jobs, A)
    accept(jobs, B)
    assert claim(jobs, "one").job.song == A
    assert jobs.unheld(5) == [B]
    assert claim(jobs, "two").job.song == B
    assert jobs.claim("three", LEASE) is None


def test_an_expired_lease_lets_another_worker_in(jobs: Jobs) -> None:
    accept(jobs, A)
    first = claim(jobs, "one")
    expire(jobs, A)
    assert claim(jobs, "two").job.attempts == 2
    assert not jobs.renew(first, LEASE)
    assert not jobs.progress(first, LEASE, 1, {"parts": 9})
    assert jobs.finish(first, "failed", "event", {}) is None
    assert not jobs.give_back(first)
    job = jobs.get(A)
    assert job is not None
    assert (job.status, job.parts) == ("processing", 0)


def test_an_expired_lease_is_retaken_while_the_token_stands(jobs: Jobs) -> None:
    accept(jobs, A)
    first = claim(jobs, "one")
    expire(jobs, A)
    assert jobs.renew(first, LEASE)
    assert jobs.claim("two", LEASE) is None


def test_a_song_given_back_keeps_its_place_and_its_attempts(jobs: Jobs) -> None:
    accept(jobs, A)
    accept(jobs, B)
    assert jobs.give_back(claim(jobs))
    again = claim(jobs)
    assert (again.job.song, again.job.attempts) == (A, 1)


def test_an_attempt_that_counts_is_not_given_back(jobs: Jobs) -> None:
    accept(jobs, A)
    jobs.give_back(claim(jobs), counts=True)
    assert claim(jobs).job.attempts == 2


def test_attempts_never_fall_below_none(jobs: Jobs) -> None:
    accept(jobs, A)
    claimed = claim(jobs)
    jobs.progress(claimed, LEASE, 1, {"parts": 1, "attempts": 0})
    jobs.give_back(claimed)
    assert jobs.get(A).attempts == 0  # type: ignore[union-attr]


def test_the_end_of_a_job_is_one_step(jobs: Jobs, callbacks: Callbacks) -> None:
    accept(jobs, A, call=callback("c"))
    assert jobs.finish(claim(jobs), "succeeded", "event", {"parts": 3}) == ["c"]
    job = jobs.get(A)
    assert job is not None
    assert (job.status, job.parts, jobs.queue()) == ("succeeded", 3, [])
    assert callbacks.due(5) == ["c"]
    assert jobs.redis.zrange(names.OUTBOX, 0, -1) == ["event"]
    assert not jobs.redis.exists(names.lease_key(A))


def test_a_callback_can_be_attached_to_a_song_in_work(jobs: Jobs, callbacks: Callbacks) -> None:
    accept(jobs, A)
    assert jobs.attach(upload(A), callback("c")) == "queued"
    assert callbacks.due(5) == []
    assert jobs.finish(claim(jobs), "succeeded", "event", {}) == ["c"]


def test_a_callback_attached_to_a_finished_song_is_due_at_once(jobs: Jobs, callbacks: Callbacks) -> None:
    finish(jobs)
    assert jobs.attach(upload(A), callback("c")) == "succeeded"
    assert callbacks.due(5) == ["c"]


def test_a_lost_callback_of_a_failed_song_tells_why_it_failed(jobs: Jobs, callbacks: Callbacks) -> None:
    accept(jobs, A)
    why = {"type": "bad-audio", "detail": "damaged"}
    jobs.finish(claim(jobs), "failed", "event", {"error": json.dumps(why)})
    assert jobs.attach(upload(A), callback("c"), lost=True) == "failed"
    assert callbacks.get("c").error == why  # type: ignore[union-attr]


def test_callbacks_that_are_settled_leave_room_for_others(jobs: Jobs, callbacks: Callbacks) -> None:
    finish(jobs)
    for number in range(MAX_CALLBACKS):
        assert jobs.attach(upload(A), callback(str(number))) == "succeeded"
    assert jobs.attach(upload(A), callback("one too many")) == "full"
    assert jobs.attach(upload(A), callback("0")) == "succeeded"  # once more, as where an answer of Redis was lost
    claimed = callbacks.claim("0", 30)
    assert claimed is not None
    callbacks.record(claimed, Attempt(time.time(), 0.1, 204), "delivered", None)
    assert jobs.attach(upload(A), callback("one more")) == "succeeded"


def test_the_oldest_settled_callbacks_leave_for_others(jobs: Jobs, callbacks: Callbacks) -> None:
    finish(jobs)
    ids = [f"{number:03d}" for number in range(MAX_CALLBACKS + 2)]
    for id_ in ids:
        jobs.attach(upload(A), callback(id_))
        claimed = callbacks.claim(id_, 30)
        assert claimed is not None
        callbacks.record(claimed, Attempt(time.time(), 0.1, 204), "delivered", None)
    assert jobs.attach(upload(A), callback("waits")) == "succeeded"
    assert jobs.get(A).callbacks == (*ids[2:], "waits")  # type: ignore[union-attr]
    assert [callbacks.get(id_) is None for id_ in ids[:3]] == [True, True, False]


def test_callbacks_of_which_nothing_is_known_leave_the_record(jobs: Jobs) -> None:
    accept(jobs, A, call=callback("c"))
    jobs.attach(upload(A), callback("d"))
    jobs.drop_callbacks(A, ["c"])
    assert jobs.get(A).callbacks == ("d",)  # type: ignore[union-attr]


def test_a_callback_is_not_attached_to_another_upload(jobs: Jobs) -> None:
    accept(jobs, A)
    assert jobs.attach(upload(A, "second"), callback("c")) is None
    assert jobs.get(A).callbacks == ()  # type: ignore[union-attr]


def test_removing_a_song_cancels_its_job(jobs: Jobs, callbacks: Callbacks) -> None:
    accept(jobs, A, call=callback("c"))
    claimed = claim(jobs)
    assert jobs.remove(A, "event") == upload(A)
    assert jobs.queue() == []
    assert not jobs.progress(claimed, LEASE, 1, {"parts": 1})
    waiting = callbacks.get("c")
    assert waiting is not None
    assert (waiting.state, waiting.status) == ("due", "canceled")
    assert jobs.remove(A, "event") is None
    assert jobs.removing() == [f"{A}/first"]


def test_only_the_upload_that_was_meant_is_removed(jobs: Jobs) -> None:
    accept(jobs, A, "second")
    assert jobs.remove(A, "event", "first") is None
    assert jobs.get(A).status == "queued"  # type: ignore[union-attr]
    assert jobs.remove(A, "event", "second") == upload(A, "second")


def test_removing_a_finished_song_drops_its_callbacks(jobs: Jobs, callbacks: Callbacks) -> None:
    accept(jobs, A, call=callback("c"))
    jobs.finish(claim(jobs), "succeeded", "event", {})
    jobs.remove(A, "event")
    assert callbacks.due(5) == []
    assert callbacks.get("c") is None


def test_a_removed_song_is_remembered_for_a_while(jobs: Jobs) -> None:
    finish(jobs)
    removed = jobs.remove(A, "event")
    assert removed is not None
    jobs.forget(removed, 100)
    assert jobs.get(A).status == "canceled"  # type: ignore[union-attr]
    assert 0 < jobs.redis.ttl(names.song_key(A)) <= 100
    assert jobs.removing() == []


def test_forgetting_an_old_upload_leaves_the_new_one(jobs: Jobs) -> None:
    accept(jobs, A)
    removed = jobs.remove(A, "event")
    accept(jobs, A, "second")
    assert removed is not None
    jobs.forget(removed, 100)
    assert jobs.get(A).status == "queued"  # type: ignore[union-attr]
    assert jobs.redis.ttl(names.song_key(A)) == -1


def test_a_track_is_removed_once_and_only_from_a_finished_song(jobs: Jobs) -> None:
    accept(jobs, A)
    assert jobs.remove_track(A, "vocals", "event") == ("queued", "first", False)
    jobs.finish(claim(jobs), "succeeded", "event", {})
    assert jobs.remove_track(A, "vocals", "event") == ("succeeded", "first", True)
    assert jobs.remove_track(A, "vocals", "event") == ("succeeded", "first", False)
    assert jobs.remove_track(B, "vocals", "event") == ("", "", False)


def test_a_file_is_recorded_only_for_what_it_was_made_of(jobs: Jobs) -> None:
    finish(jobs)
    assert jobs.rendered(upload(A), "vocals.wav", 9, ["vocals"])
    assert not jobs.rendered(upload(A, "second"), "drums.wav", 9, ["drums"])
    jobs.remove_track(A, "bass", "event")
    assert not jobs.rendered(upload(A), "no_vocals.wav", 9, ["drums", "bass", "other"])
    assert jobs.get(A).files == {"vocals.wav": 9}  # type: ignore[union-attr]


def test_a_record_is_restored_only_where_there_is_none(jobs: Jobs) -> None:
    fields = {"status": "queued", **about()}
    assert jobs.restore(upload(A), fields, [])
    assert not jobs.restore(upload(A, "second"), fields, [])
    assert jobs.queue() == [A]
    assert claim(jobs).job.upload_id == "first"


def test_a_song_that_is_restored_stands_in_the_queue_once(jobs: Jobs) -> None:
    """Redis may have lost its record alone."""
    accept(jobs, A)
    jobs.redis.delete(names.song_key(A))
    assert jobs.restore(upload(A), {"status": "queued", **about()}, [])
    assert jobs.queue() == [A]


def test_a_song_without_a_record_leaves_the_queue(jobs: Jobs) -> None:
    accept(jobs, A)
    jobs.redis.delete(names.song_key(A))
    assert jobs.claim("one", LEASE) is None
    assert jobs.queue() == []


def test_workers_are_seen_until_they_are_not(jobs: Jobs) -> None:
    jobs.seen("w", {"device": "cpu"}, 60)
    assert jobs.workers() == [{"id": "w", "device": "cpu"}]
    jobs.redis.delete(names.worker_key("w"))
    assert jobs.workers() == []


def test_a_claim_that_is_repeated_is_one_attempt(jobs: Jobs) -> None:
    accept(jobs, A)
    for token, attempts in (("one", 1), ("one", 1), ("two", 2), ("one", 3)):
        assert claim(jobs, token).job.attempts == attempts
        expire(jobs, A)


def test_a_removal_that_is_repeated_is_one(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py sends a script again whose answer it did not hear."""
    finish(jobs)
    finish(jobs, B)
    with monkeypatch.context() as at_once:
        at_once.setattr(time, "time", lambda: 1e9)
        for _ in range(2):
            assert jobs.remove(A, "event") == upload(A)
            assert jobs.remove_track(B, "bass", "event") == ("succeeded", "first", True)
    assert jobs.remove(A, "event") is None
    assert jobs.remove_track(B, "bass", "event") == ("succeeded", "first", False)


def test_a_full_redis_can_be_emptied(jobs: Jobs, callbacks: Callbacks) -> None:
    """And what is in work can end."""
    accept(jobs, A, call=callback("c"))
    in_work = claim(jobs)
    accept(jobs, B)
    given_back = claim(jobs, "other")
    jobs.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable):
            accept(jobs, "c" * 64)
        with pytest.raises(Unavailable):
            jobs.attach(upload(A), callback("d"))
        assert jobs.give_back(given_back)
        assert jobs.renew(in_work, LEASE)
        assert jobs.progress(in_work, LEASE, 1, {"parts": 3})
        assert jobs.rendered(upload(A), "vocals.mp3", 5, ("vocals",))
        assert jobs.finish(in_work, "succeeded", "event", {"parts": 3}) == ["c"]
        called = callbacks.get("c")
        assert called is not None
        callbacks.record(called, Attempt(1.0, 0.1, 204), "succeeded", None)
        assert jobs.remove_track(A, "bass", "event") == ("succeeded", "first", True)
        jobs.forget_track(upload(A), "bass", ["bass.wav"])
        assert jobs.remove(A, "event") == upload(A)
        jobs.forget(upload(A), 60)
    finally:
        jobs.redis.config_set("maxmemory", 0)


def test_after_a_failover_the_new_primary_is_looked_for(jobs: Jobs) -> None:
    """What was the primary keeps its connections when it becomes a replica."""
    before = jobs.redis.client_id()
    jobs.redis.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(Unavailable):
            accept(jobs, A)
        assert jobs.redis.client_id() != before
    finally:
        jobs.redis.replicaof("NO", "ONE")
    assert accept(jobs, A) == "queued"


def test_a_primary_that_has_lost_its_replicas_is_unavailable(jobs: Jobs) -> None:
    jobs.redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(Unavailable):
            accept(jobs, A)
    finally:
        jobs.redis.config_set("min-replicas-to-write", 0)


def test_a_server_that_is_away_is_unavailable_and_then_is_not(tmp_path: Path) -> None:
    with redis_like("valkey", tmp_path) as url:
        client = connect(url)
        assert Jobs(client).queue() == []
    with pytest.raises(Unavailable):
        Jobs(client).queue()
    client.close()
