"""A claimed song's lease, kept while the song is in work."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from medley import logs, stores
from medley.settings import settings
from medley.stores.jobs import Claim


class Lease:
    """Renews in a thread of its own; `lost` is set once another attempt or a removal came between.

    `beat` is called with every renewal, to show that the worker lives; `hangs` once where what is in work has not said
    for `longest` seconds that it goes on: then nothing is renewed.
    """

    def __init__(self, claim: Claim, beat: Callable[[], None], longest: float, hangs: Callable[[], None]) -> None:
        self.claim = claim
        self._beat, self._longest, self._hangs = beat, longest, hangs
        self.goes_on()
        self.lost = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def goes_on(self) -> None:
        """Said by what is in work, between two of its steps."""
        self._until = time.monotonic() + self._longest

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(settings().lease_renew_seconds):
            if time.monotonic() > self._until:
                return self._hangs()
            if self.lost.is_set():  # what hangs does not look at that either
                continue
            try:
                if not stores.jobs().renew(self.claim, settings().lease_seconds):
                    self.lost.set()
                    continue
                self._beat()
            except Exception as error:  # a thread that ended here would leave the worker unaware of another
                logs.note("lease not renewed; trying on", error=logs.why(error))
