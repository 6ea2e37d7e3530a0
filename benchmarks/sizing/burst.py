"""On a cluster: twelve songs at once, and how many pods of `separate` work on them, second by second."""

import io
import time
from typing import Any
from uuid import uuid4

from benchmarks.report import Row
from tests import sounds
from tests.e2e.harness import eventually
from tests.knative.on_cluster.deployed import Deployed, asleep
from tests.knative.on_cluster.watching import watching

SONGS = 12
SECONDS = 170.0  # of audio: 20 s of work and more where three pods share two cores
LIMIT = 1200  # s
Found = dict[str, Any]


def measure() -> Found:
    """What was to be seen of `separate` once a second, from before the first upload until it was gone."""
    medley = Deployed()
    audio = [sounds.song("mp3", SECONDS + number, title=uuid4().hex) for number in range(SONGS)]
    asleep("separate", 300)
    with watching(medley) as seen:
        begin = time.time()
        songs = [medley.client.separate(io.BytesIO(one), format="mp3", stems=["vocals"]).hash for one in audio]
        uploaded = time.time() - begin
        eventually(lambda: all(medley.record(song).get("finished") for song in songs), LIMIT, pause=1)
        asleep("separate", 300)
    records = [medley.record(song) for song in songs]
    for song in songs:
        medley.client.remove(song)
    work = [float(record["finished"]) - float(record["started"]) for record in records]
    ended = max(float(record["finished"]) for record in records) - begin
    return {
        "seen": seen,
        "uploaded_s": round(uploaded, 1),
        "ended_s": round(ended, 1),
        "work_s": [round(one, 1) for one in work],
    }


def rows(found: Found) -> list[Row]:
    seen, work = found["seen"], found["work_s"]
    scaled = next(row["s"] for row in seen if row["ready"] == max(row["ready"] for row in seen))
    pod_seconds = sum(row["pods"] for row in seen) * (seen[-1]["s"] - seen[0]["s"]) / len(seen)
    return [
        (f"{len(work)} songs at once: all uploaded after", f"{found['uploaded_s']:.0f} s"),
        (f"{max(row['ready'] for row in seen)} pods ready after", f"{scaled:.0f} s"),
        ("the last song separated after", f"{found['ended_s']:.0f} s"),
        ("work on one song", f"{min(work):.0f} to {max(work):.0f} s"),
        ("no pod any more after", f"{seen[-1]['s']:.0f} s"),
        ("pods' time / work", f"{pod_seconds:.0f} / {sum(work):.0f} s"),
    ]


def draw(axes: Any, found: Found) -> None:
    """Pods, ready pods, songs in the queue and songs done over time."""
    seen = found["seen"]
    times, waiting = [row["s"] for row in seen], [row["songs"] for row in seen]
    most, done = max(waiting), []
    for row in seen:
        uploaded = row["s"] >= found["uploaded_s"]
        done.append(most - row["songs"] if uploaded else 0)
    axes.step(times, [row["pods"] for row in seen], label="pods, with those that end", color="#bbbbbb", where="post")
    axes.step(times, [row["ready"] for row in seen], label="pods ready", color="#4477aa", where="post")
    axes.step(times, waiting, label="songs in the queue", color="#ee6677", where="post")
    axes.step(times, done, label="songs done", color="#228833", where="post")
    axes.set_xlabel("seconds since the first upload")
    axes.set_title(f"{len(found['work_s'])} songs at once, max-scale 3")
    axes.legend()
