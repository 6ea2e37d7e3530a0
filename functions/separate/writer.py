"""Storing parts while the network is at the next ones, which wait for the store only where it falls far behind."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

from functions.separate.patience import patiently
from medley import parts, stores
from medley.names import Upload
from medley.parts import Values

AHEAD = 2  # parts that may wait to be stored: with the one being stored, what a kill costs at most of finished ones
REMEMBERED = 16  # parts, over which the speed is measured

Stems = dict[str, Values]  # one part


class Writer:
    """Encodes and stores one part after the other, a thread for each stem, then tells `stored` (number, stems, speed).

    Speed is seconds for one part. What fails in there is raised by the next `put`, or at the end.
    """

    def __init__(
        self, upload: Upload, recipe: str, stems: Sequence[str], stored: Callable[[int, Stems, float], None]
    ) -> None:
        self._upload, self._recipe, self._stored = upload, recipe, stored
        self._waiting: queue.Queue[tuple[int, Stems, float] | None] = queue.Queue(AHEAD)
        self._failure: BaseException | None = None
        self._times = deque([time.monotonic()], REMEMBERED + 1)
        self._encoders = ThreadPoolExecutor(len(stems), thread_name_prefix="parts")
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
        self._encoders.shutdown()
        if error is None and self._failure:
            raise self._failure

    def put(self, number: int, stems: Stems) -> None:
        """The next part; waits while AHEAD others do."""
        if self._failure:
            raise self._failure
        self._times.append(time.monotonic())
        speed = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
        self._waiting.put((number, stems, speed))

    def _run(self) -> None:
        while (due := self._waiting.get()) is not None:
            if self._failure:
                continue  # whoever puts is not to wait for nobody
            try:
                number, stems, speed = due
                list(self._encoders.map(partial(self._store, number), stems, stems.values()))
                self._stored(number, stems, speed)
            except BaseException as error:
                self._failure = error

    def _store(self, number: int, stem: str, values: Values) -> None:
        name = self._upload.part(self._recipe, stem, number)
        data = parts.encode(values)
        patiently(lambda: stores.objects().put(name, data, content_type="audio/flac"))
