"""Twelve songs at once: as many workers as there may be, each song once, oldest first, and nobody left in the end."""

import io
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests import sounds
from tests.e2e.harness import eventually
from tests.knative.on_cluster.deployed import Deployed, asleep
from tests.knative.on_cluster.watching import watching

SONGS = 12
SECONDS = 170.0  # of audio: 20 s of work and more where three workers share two cores
MAX_SCALE = 3
COST = 3  # segments that are computed again after a song was given back
LIMIT = 1200

pytestmark = pytest.mark.timeout(LIMIT + 300)


@pytest.fixture(scope="module")
def burst(medley: Deployed, report: Callable[[str, Any], None]) -> tuple[list[str], list[dict[str, Any]]]:
    """The songs in the order of their uploads, and what was to be seen of `separate` until it was gone."""
    audio = [sounds.song("mp3", SECONDS + number, title=uuid4().hex) for number in range(SONGS)]
    asleep("separate")
    with watching(medley) as seen:
        songs = [medley.client.separate(io.BytesIO(one), format="mp3", stems=["vocals"]).hash for one in audio]
        eventually(lambda: all(medley.record(song).get("finished") for song in songs), LIMIT, pause=1)
        asleep("separate")
    records = [medley.record(song) for song in songs]
    work = [round(float(record["finished"]) - float(record["started"]), 1) for record in records]
    report("burst", {"work_s": work, "seen": seen})
    return songs, seen


Burst = tuple[list[str], list[dict[str, Any]]]


def test_every_song_succeeds(medley: Deployed, burst: Burst) -> None:
    assert {medley.record(song)["status"] for song in burst[0]} == {"succeeded"}


def test_separate_grows_as_far_as_it_may_and_goes_away(burst: Burst) -> None:
    ready = [row["ready"] for row in burst[1]]
    assert max(ready) == MAX_SCALE
    assert max(row["alive"] for row in burst[1]) == MAX_SCALE
    assert burst[1][-1]["pods"] == 0


def test_each_song_is_done_once(medley: Deployed, burst: Burst) -> None:
    """A worker that ends gives its song back: near its time limit, and when it is the one that scaling down picks."""
    assert sorted(medley.logged("song separated", burst[0])) == sorted(burst[0])
    again = len(medley.logged("song claimed", burst[0])) - SONGS
    assert again == len(medley.logged("song given back", burst[0]))
    records = [medley.record(song) for song in burst[0]]
    assert sum(int(one["segments"]) - int(one["total"]) for one in records) <= COST * again


def test_they_were_started_oldest_first(medley: Deployed, burst: Burst) -> None:
    started = {song: float(medley.record(song)["started"]) for song in burst[0]}
    assert sorted(burst[0], key=started.__getitem__) == burst[0]
