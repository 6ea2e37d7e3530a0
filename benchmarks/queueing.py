"""Songs posted at once to one worker: their order, and how long it idles between two."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from benchmarks.service import MB, Service, song

SONGS = 10


def measure(service: Service) -> dict[str, Any]:
    """Order by the queue and by the records; gaps in seconds between the end of one and the start of the next."""
    watch = _Watch(service)
    with ThreadPoolExecutor(SONGS) as pool:
        songs = list(pool.map(service.upload, [song(MB // 2) for _ in range(SONGS)]))
    service.ended(songs)
    queued = watch.end()
    records = {name: service.record(name) for name in songs}
    started = sorted(songs, key=lambda name: float(records[name]["started"]))
    gaps = [
        float(records[after]["started"]) - float(records[before]["finished"])
        for before, after in itertools.pairwise(started)
    ]
    return {
        "in_order": started == queued,
        "gap_s": round(median(gaps), 3),
        "gaps": [round(gap, 3) for gap in gaps],
        "work_s": round(median(float(one["finished"]) - float(one["started"]) for one in records.values()), 3),
    }


class _Watch:
    """The order in which songs came into the queue."""

    def __init__(self, service: Service) -> None:
        self._service, self._seen, self._ended = service, list[str](), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> list[str]:
        self._ended.set()
        self._thread.join()
        return self._seen

    def _run(self) -> None:
        while not self._ended.is_set():
            self._seen += [name for name in self._service.redis.lrange("toWorker", 0, -1) if name not in self._seen]
            time.sleep(0.005)


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured, how much it is, and what it is to be."""
    return [
        (f"{SONGS} songs at once: in order", "yes" if found["in_order"] else "NO", "yes"),
        ("median gap between two", f"{found['gap_s']:.3f} s", "at most 0.5 s"),
    ]
