"""Storing parts while the network is at the next ones, which wait for the store only where it falls far behind."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from functions.separate.patience import patiently
from medley import parts, stores
from medley.names import Upload
from medley.parts import Values
from medley.quota import processors

AHEAD = 2  # parts that may wait to be stored, at least: with those that are, what a kill costs at most of finished ones
MOST = 32  # encoders: each has a connection to the store, and a part in memory
REMEMBERED = 16  # parts, over which the speed is measured

Stems = dict[str, Values]  # one part
Due = tuple[int, Stems, float, list[Future[int]]]  # number, stems, speed, and what becomes of each stem


class Writer:
    """Encodes and stores parts, a thread for each stem, then tells `stored` of each, in order.

    From a GPU they come more quickly than so many threads take them: there it has one for each processor. Two each were
    slower: they waited for Python, and took from what else is to be done.

    `stored` is given (number, stems, speed, clipped): seconds for one part, and each stem's samples beyond full scale.
    What fails is raised by the next `put`, or at the end.
    """

    def __init__(
        self,
        upload: Upload,
        recipe: str,
        stems: Sequence[str],
        device: str,
        stored: Callable[[int, Stems, float, dict[str, int]], None],
    ) -> None:
        self._upload, self._recipe, self._stored = upload, recipe, stored
        threads = len(stems) if device == "cpu" else min(MOST, max(len(stems), processors()))
        self._waiting: queue.Queue[Due | None] = queue.Queue(max(AHEAD, threads // len(stems)))
        self._failure: BaseException | None = None
        self._times = deque([time.monotonic()], REMEMBERED + 1)
        self._encoders = ThreadPoolExecutor(threads, thread_name_prefix="parts")
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits until all parts are stored."""
        self._waiting.put(None)
        self._thread.join()
        self._encoders.shutdown(cancel_futures=True)
        if error is None and self._failure:
            raise self._failure

    def put(self, number: int, stems: Stems) -> None:
        """The next part; waits while many others do."""
        if self._failure:
            raise self._failure
        self._times.append(time.monotonic())
        speed = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
        storing = [self._encoders.submit(self._store, number, stem, values) for stem, values in stems.items()]
        self._waiting.put((number, stems, speed, storing))

    def _run(self) -> None:
        while (due := self._waiting.get()) is not None:
            if self._failure:
                continue  # whoever puts is not to wait for nobody
            try:
                number, stems, speed, storing = due
                clipped = [each.result() for each in storing]
                self._stored(number, stems, speed, dict(zip(stems, clipped, strict=True)))
            except BaseException as error:
                self._failure = error

    def _store(self, number: int, stem: str, values: Values) -> int:
        """How many samples of it are clipped."""
        if self._failure:
            return 0
        name = self._upload.part(self._recipe, stem, number)
        data = parts.encode(values)
        patiently(lambda: stores.objects().put(name, data, content_type="audio/flac"))
        return parts.clipped(values)
