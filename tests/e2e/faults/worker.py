"""Faults of the process that separates."""

import os
import random
import signal
import time
from typing import Any

from tests.e2e.faults.stage import STEMS, Stage, music
from tests.e2e.harness import eventually

SONG = music(16)
LONG = music(36)


def killed_at_ten_random_points(stage: Stage) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    steps = [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]  # parts that an attempt gets on record before it is killed
    chance.shuffle(steps)
    song, token = stage.post(LONG), ""
    stood: dict[str, Any] = {}
    for step in steps:
        record = stage.claimed(song, token)
        token = record["token"]
        stage.parts(song, int(record.get("parts", "0")) + step)
        time.sleep(chance.uniform(0, 1.5) * float(record.get("speed", "0.2")))  # somewhere in the next part
        os.killpg(stage.worker(song), signal.SIGKILL)
        stood |= {name: at for name, at in stage.stored_parts(stage.upload(song)).items() if name not in stood}
    ended = stage.succeeded(song)
    assert ended["segments_computed"] <= 36 + 2 * len(steps)
    written = stage.stored_parts(stage.upload(song))
    assert stood == {name: written[name] for name in stood}  # what had been done was not done again
    assert len(stage.lines("song claimed", song)) == len(steps) + 1


def killed_between_parts_and_record(stage: Stage) -> None:
    song = stage.post(SONG)
    stage.parts(song, 4)
    upload = stage.upload(song)
    stage.service.redis.client_pause(60_000, all=False)  # ms, only writing: the record can still be read
    recorded = stage.service.record(song)["parts"]
    eventually(lambda: len(stage.stored_parts(upload)) >= (int(recorded) + 1) * len(STEMS))
    stage.signal("separate", signal.SIGKILL)
    stage.signal("redis", signal.SIGKILL)  # with what the worker had sent
    assert eventually(lambda: stage.service.record(song))["parts"] == recorded
    assert stage.succeeded(song)["segments_computed"] <= 16 + 2


def killed_between_done_and_record(stage: Stage) -> None:
    """A worker that goes on after another renders the files when `done.json` stands already: a second and more."""
    song = stage.post(SONG, format="mp3")
    stage.parts(song, 3)
    stage.signal("separate", signal.SIGKILL)
    stopped_at_done(stage, song)
    stage.signal("separate", signal.SIGKILL)
    assert stage.succeeded(song)["segments_computed"] <= 16 + 2


def stopped_at_done(stage: Stage, song: str) -> None:
    """Stops the worker when `done.json` stands and the record does not say so."""
    done = stage.upload(song).done
    eventually(lambda: stage.service.s3.stat_object("songs", done), 60, pause=0.01)
    stage.signal("separate", signal.SIGSTOP)
    assert stage.service.record(song)["status"] == "processing"


def kills_its_worker(stage: Stage) -> None:
    """Each attempt is killed before its first part: that is counted, told, and forgotten by the next upload."""
    song = stage.post(SONG)
    token = stage.claimed(song)["token"]
    os.killpg(stage.worker(song), signal.SIGKILL)
    ended = stage.service.ended(song)
    assert ended["status"] == "failed"
    assert ended["error"]["type"] == "killed-its-workers"
    assert token not in stage.service.record(song).values()
    assert stage.post(SONG) == song
    stage.succeeded(song)


def terminated(stage: Stage) -> None:
    """Before its first part and in the middle: the song is given back, nothing is lost, and the attempt not counted."""
    song = stage.post(SONG)
    upload = stage.upload(song)
    stage.claimed(song)
    _terminate(stage, song)
    stage.parts(song, 5)
    _terminate(stage, song)
    record = stage.service.record(song)
    assert int(record["parts"]) == len(stage.stored_parts(upload)) // len(STEMS)
    assert stage.succeeded(song)["segments_computed"] <= 16 + 2


def _terminate(stage: Stage, song: str) -> None:
    before = stage.service.record(song)["token"]
    pid = stage.service.local.pid("separate")
    os.kill(pid, signal.SIGTERM)
    record = eventually(lambda: (found := stage.service.record(song)).get("token") != before and found, pause=0.02)
    assert (record["status"], record["attempts"]) == ("queued", "0")
    assert len(stage.lines("song given back", song)) >= 1
    stage.service.local.wait(lambda about: about["functions"]["separate"][0]["pid"] not in (None, pid))


def stopped_past_its_lease(stage: Stage) -> None:
    song = stage.post(SONG)
    group, token = _stop_in_the_middle(stage, song)
    other = stage.claimed(song, token)["token"]
    stage.parts(song, 6)
    os.killpg(group, signal.SIGCONT)
    eventually(lambda: stage.lines("song overtaken or removed", song))
    assert stage.service.record(song).get("token", other) == other
    ended = stage.succeeded(song)
    assert len(stage.lines("song separated", song)) == 1
    assert ended["segments_computed"] <= 16 + 1  # what the overtaken worker did after it is not on record


def stopped_while_removed(stage: Stage) -> None:
    song = stage.post(SONG)
    group, _ = _stop_in_the_middle(stage, song)
    stage.service.client.remove(song)
    os.killpg(group, signal.SIGCONT)
    eventually(lambda: stage.lines("song overtaken or removed", song))
    assert stage.service.ended(song)["status"] == "canceled"


def stopped_while_uploaded_again(stage: Stage) -> None:
    song = stage.post(SONG)
    group, token = _stop_in_the_middle(stage, song)
    stage.service.client.remove(song)
    stage.post(SONG)
    stage.claimed(song, token)
    os.killpg(group, signal.SIGCONT)
    eventually(lambda: stage.lines("song overtaken or removed", song))
    assert stage.succeeded(song)["segments_computed"] == 16


def _stop_in_the_middle(stage: Stage, song: str) -> tuple[int, str]:
    """Stops the worker past its lease; its process group and its token."""
    stage.parts(song, 3)
    group = stage.worker(song)
    os.killpg(group, signal.SIGSTOP)
    token = stage.service.record(song)["token"]
    eventually(lambda: stage.service.redis.get(f"lease:{song}") != token)
    return group, token


def removed_during_separation(stage: Stage) -> None:
    song = stage.post(SONG, callback=stage.called.url)
    stage.parts(song, 3)
    stage.service.client.remove(song)
    eventually(lambda: stage.lines("song overtaken or removed", song))
    eventually(lambda: stage.called.bodies)
    assert [body["status"] for body in stage.called.bodies] == ["canceled"]
    assert stage.service.ended(song)["status"] == "canceled"
