"""What comes twice, or at once, and the end of everything."""

import contextlib
import itertools
import os
import signal
import statistics
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from medley.client import MedleyProblem
from tests.e2e.faults.stage import Stage, music
from tests.e2e.faults.stores import SHORT
from tests.e2e.faults.worker import SONG
from tests.e2e.harness import eventually


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Does everything at the same time; what each returned."""
    start = threading.Barrier(len(acts))

    def act(one: Callable[[], Any]) -> Any:
        start.wait()
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def same_event_five_times(stage: Stage) -> None:
    """Straight to both workers, past the Broker, which would hand them over one by one."""
    song = stage.post(SONG, callback=stage.called.url)
    event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/tests", "data": {"hash": song}}
    event |= {"type": "dev.medley.song.uploaded.v1", "datacontenttype": "application/json", "subject": song}
    answers = at_once([lambda i=i: stage.send("separate", event, i % 2) for i in range(5)])
    assert set(answers) <= {204, 409}, answers  # 409: busy, a Broker tries again
    assert stage.succeeded(song)["segments_computed"] == 16
    assert len(stage.lines("song claimed", song)) == len(stage.lines("song separated", song)) == 1
    eventually(lambda: stage.called.bodies)
    stage.settle()
    assert len(stage.called.bodies) == 1


def twenty_equal_uploads(stage: Stage) -> None:
    songs = at_once([lambda: stage.post(SONG, callback=stage.called.url)] * 20)
    assert len(set(songs)) == 1
    assert stage.succeeded(songs[0])["segments_computed"] == 16
    eventually(lambda: len(stage.called.bodies) >= 20)
    stage.settle()
    assert len({request["webhook-id"] for request in stage.called.requests}) == len(stage.called.requests) == 20
    uploads = {tuple(name.split("/")[:2]) for name in stage.service.objects()}
    assert len(uploads) == 1


def removal_and_equal_upload_at_once(stage: Stage) -> None:
    song = stage.post(SHORT)
    for _ in range(8):
        at_once([lambda: _remove(stage, song), lambda: stage.post(SHORT)])
    if stage.service.ended(song)["status"] != "canceled":
        stage.succeeded(song)


def _remove(stage: Stage, song: str) -> None:
    with contextlib.suppress(MedleyProblem):  # it is not there just now
        stage.service.client.remove(song)


def ten_songs_at_once(stage: Stage) -> None:
    """They wait together, since the worker is stopped until all are there."""
    stage.signal("separate", signal.SIGSTOP)
    songs = at_once([lambda i=i: stage.post(music(2, seed=i + 1)) for i in range(10)])
    queue = stage.service.client.queue()["queue"]
    assert sorted(queue) == sorted(songs)
    stage.signal("separate", signal.SIGCONT)
    for song in songs:
        assert stage.service.ended(song)["status"] == "succeeded"
    records = sorted((stage.service.record(song) for song in songs), key=lambda record: float(record["started"]))
    assert [record["upload"] for record in records] == [stage.service.record(song)["upload"] for song in queue]
    gaps = [float(b["started"]) - float(a["finished"]) for a, b in itertools.pairwise(records)]
    assert min(gaps) >= 0  # one after the other
    print(f"median gap {statistics.median(gaps):.3f} s")


def up_killed_and_started_again(stage: Stage) -> None:
    local = stage.service.local
    songs = [stage.post(SONG), stage.post(SHORT, callback=stage.called.url)]
    stage.parts(songs[0], 4)
    before = _processes(local.data)
    assert before
    local.kill()
    local.start()
    assert not [process for process in before if process in _processes(local.data)]
    assert stage.succeeded(songs[0])["segments_computed"] <= 16 + 2
    stage.succeeded(songs[1])
    eventually(lambda: stage.called.bodies)


def _processes(data: Path) -> set[tuple[int, str]]:
    """The processes that a service on a folder started, and when: process ids are used again."""
    mark, found = f"MEDLEY_UP={data}".encode(), set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                began = (entry / "stat").read_text().rpartition(")")[2].split()[19]
                found.add((int(entry.name), began))
        except OSError:
            continue
    assert os.getpid() not in {pid for pid, _ in found}
    return found
