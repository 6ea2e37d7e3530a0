"""Faults of Redis, S3 and the Broker."""

import json
import signal
import time

from tests.e2e import wire
from tests.e2e.faults.stage import Stage, music
from tests.e2e.faults.worker import SONG, stopped_at_done
from tests.e2e.harness import eventually

SHORT = music(2)
LONGER_THAN_A_LEASE = 3.0  # s


def redis_restarted(stage: Stage) -> None:
    song = stage.post(SONG, callback=stage.called.url)
    stage.parts(song, 4)
    stage.signal("redis", signal.SIGKILL)
    assert stage.succeeded(song)["segments_computed"] <= 16 + 2
    eventually(lambda: stage.called.bodies)


def redis_away_during_separation(stage: Stage) -> None:
    song = stage.post(SONG)
    stage.parts(song, 4)
    with stage.away("redis"):
        time.sleep(LONGER_THAN_A_LEASE)
    assert stage.succeeded(song)["segments_computed"] <= 16 + 2


def redis_away_during_upload(stage: Stage) -> None:
    with stage.away("redis"):
        assert _upload(stage) == 503
    assert stage.service.objects() == []


def _upload(stage: Stage) -> int:
    """Without the client, which would try again."""
    return wire.upload(stage.service.local.about()["port"], SHORT, "audio/wav").status


def redis_emptied_during_separation(stage: Stage) -> None:
    song = stage.post(SONG, callback=stage.called.url)
    stage.parts(song, 4)
    upload = stage.upload(song)
    stood = stage.stored_parts(upload)
    stage.service.redis.flushall()
    stage.succeeded(song)
    written = stage.stored_parts(stage.upload(song))
    assert stood == {name: written[name] for name in stood}
    eventually(lambda: stage.called.bodies)
    eventually(lambda: stage.callback(song)["state"] == "delivered")


def redis_emptied_and_uploaded_again(stage: Stage) -> None:
    """Who waits for an upload that was there before is told of the end of the one in its place.

    Of the first song it ends before the sweep looks at the earlier one; of the second a worker is at the earlier one.
    """
    long, short = stage.post(SONG, callback=stage.called.url), stage.post(SHORT, callback=stage.called.url)
    stage.parts(long, 4)
    stage.service.redis.flushall()
    assert [stage.post(SHORT), stage.post(SONG)] == [short, long]
    for song in (short, long):
        stage.succeeded(song)
        eventually(lambda song=song: stage.callback(song)["state"] == "delivered")
    assert sorted(body["hash"] for body in stage.called.bodies) == sorted([short, long])


def redis_emptied_when_finished(stage: Stage) -> None:
    """The callback that was not settled is called, and one that was is not called again."""
    stage.called.statuses = [503]
    settled, waiting = stage.post(SHORT), stage.post(SONG, callback=stage.called.url)
    ended = [stage.succeeded(song) for song in (settled, waiting)]
    eventually(lambda: stage.called.bodies)
    stage.service.redis.flushall()
    stage.called.statuses = [204]
    for song, before in zip((settled, waiting), ended, strict=True):
        after = eventually(lambda song=song: stage.service.client.song(song))
        same = ("status", "name", "parts", "segments_computed", "stems", "original", "clipped", "removed")
        same += ("model", "precision", "shifts", "overlap", "computed")
        assert {name: after[name] for name in same} == {name: before[name] for name in same}
    eventually(lambda: stage.callback(waiting)["state"] == "delivered")
    assert stage.service.client.callbacks(settled) == []


def s3_away_during_upload(stage: Stage) -> None:
    records = {key: stage.service.redis.hgetall(key) for key in stage.service.redis.scan_iter("song:*")}
    with stage.away("s3"):
        assert _upload(stage) == 503
        assert stage.service.client.queue()["queue"] == []
    assert {key: stage.service.redis.hgetall(key) for key in stage.service.redis.scan_iter("song:*")} == records


def s3_away_during_separation(stage: Stage) -> None:
    song = stage.post(SONG)
    stage.parts(song, 4)
    with stage.away("s3"):
        time.sleep(LONGER_THAN_A_LEASE)
    assert stage.succeeded(song)["segments_computed"] <= 16 + 2


def s3_away_while_rendering(stage: Stage) -> None:
    """No file that was asked for is missing because the store was away when it was to be stored."""
    song = stage.post(SONG, format="mp3")
    stage.parts(song, 3)
    stage.signal("separate", signal.SIGKILL)
    stopped_at_done(stage, song)
    with stage.away("s3"):
        stage.signal("separate", signal.SIGCONT)
        time.sleep(LONGER_THAN_A_LEASE)
    ended = stage.succeeded(song)
    files = {file["file"] for stem in ended["stems"] for file in stem["files"]}
    assert files >= set(json.loads(stage.service.record(song)["outputs"]))
