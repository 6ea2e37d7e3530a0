"""How many pods `separate` has from second to second."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.knative.on_cluster.deployed import Deployed, pods, ready


@contextmanager
def watching(medley: Deployed) -> Iterator[list[dict[str, Any]]]:
    """Looks once a second and at the end: the pods there are, those that are ready, the songs in the queue."""
    seen: list[dict[str, Any]] = []
    begin, end = time.monotonic(), threading.Event()

    def look() -> None:
        found = pods("separate")
        alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        waiting = medley.redis.llen("toWorker")
        row = {"pods": len(found), "alive": len(alive), "ready": sum(map(ready, alive)), "songs": waiting}
        seen.append({"s": round(time.monotonic() - begin, 1), **row})

    def keep_looking() -> None:
        while not end.wait(1):
            look()

    thread = threading.Thread(target=keep_looking, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()
        look()
