"""Claiming the oldest song but those that this request has failed at."""

from medley import names
from medley.stores.jobs import Jobs
from tests.stores.songs import LEASE, A, B, accept, claim


def test_songs_that_are_passed_over_keep_their_places(jobs: Jobs) -> None:
    accept(jobs, A)
    accept(jobs, B)
    passed = jobs.claim("one", LEASE, [A])
    assert passed is not None
    assert passed.job.song == B
    assert jobs.claim("two", LEASE, [A]) is None
    assert (jobs.get(A).status, jobs.get(A).attempts, jobs.queue()) == ("queued", 0, [A, B])  # type: ignore[union-attr]
    assert claim(jobs, "two").job.song == A


def test_a_model_is_passed_over_with_all_its_songs(jobs: Jobs) -> None:
    accept(jobs, A)
    accept(jobs, B)
    assert jobs.claim("one", LEASE, ["htdemucs"]) is None
    jobs.redis.hset(names.song_key(B), "model", "mdx")
    passed = jobs.claim("one", LEASE, ["htdemucs"])
    assert passed is not None
    assert passed.job.song == B


def test_a_song_that_is_passed_over_is_given_to_who_holds_it(jobs: Jobs) -> None:
    """So that repeating a call changes nothing."""
    accept(jobs, A)
    claim(jobs, "one")
    again = jobs.claim("one", LEASE, [A])
    assert again is not None
    assert again.job.attempts == 1
