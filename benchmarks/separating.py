"""The function `separate` as it is deployed: its process, real stores, woken by an event for each song."""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from benchmarks.child import Run
from benchmarks.service import Process, Service, worker
from benchmarks.starting import wait_until_ready
from medley import names
from medley.events import build
from medley.local import ports

AGAIN = 0.02  # s between two looks at a record
LIMIT = 3600.0  # s for one song


class Separate:
    """One process of `separate`, on the stores of a service whose own is never woken."""

    def __init__(self, service: Service, threads: int, **environment: str) -> None:
        self.service = service
        (self.port,) = ports.free(1)
        values = {"HOST": "127.0.0.1", "PORT": str(self.port), "LOG_LEVEL": "error", "OMP_NUM_THREADS": str(threads)}
        values |= {"TIME_LIMIT": str(LIMIT), **environment}
        self._problem = ""
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "medley.serve", "separate"], env={**os.environ, **service.environment, **values}
        )
        wait_until_ready("separate", self.port, self._process)
        self.kernel = worker(self._process.pid)
        self.ready = time.perf_counter() - self.began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    @contextmanager
    def woken(self, song: str) -> Iterator[None]:
        """Posts the event of an upload, whose answer comes when nothing is left to do."""
        thread = threading.Thread(target=self._post, args=(song,))
        thread.start()
        yield
        thread.join()

    def _post(self, song: str) -> None:
        event = build(names.SONG_UPLOADED, "upload", song, {"hash": song})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        connection.request("POST", "/", event, {"Content-Type": "application/cloudevents+json"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != 204:
            self._problem = f"separate answered {answer.status}: {said[:500]!r}"

    def separate(self, song: str, since: float | None = None) -> Run:
        """From its event, or from `since`, until it is answered: stems are stored as asked for and the end told.

        The record is not looked at meanwhile: that took 2 % of two cores.
        """
        self.kernel.begin_peak()
        cpu = self._cpu() if since is None else 0.0
        begin = time.perf_counter() if since is None else since
        self._post(song)
        wall = time.perf_counter() - begin
        self._until(song, lambda record: record["status"] == "succeeded")
        return Run(wall, self._cpu() - cpu, self.kernel.peak())

    def first_part(self, song: str) -> float:
        """Seconds from this process's start until the first part of a song is stored; the song goes on to its end."""
        with self.woken(song):
            self._until(song, lambda record: int(record.get("parts", 0)) > 0)
            return time.perf_counter() - self.began

    def _until(self, song: str, reached: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """The song's record as soon as it is so. Raises RuntimeError when it will not be."""
        while not reached(record := self.service.record(song)):
            if self._problem or record["status"] == "failed":
                raise RuntimeError(self._problem or f"{song} failed: {record.get('error')}")
            time.sleep(AGAIN)
        return record

    def _cpu(self) -> float:
        """gunicorn's own process loads what its worker then has."""
        return self.kernel.cpu() + Process(self._process.pid).cpu()
