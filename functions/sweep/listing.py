"""Going through the bucket, some of it a sweep."""

import time
from collections.abc import Iterable, Iterator
from itertools import groupby

from functions.sweep.each import each
from functions.sweep.restore import Restored, restore
from functions.sweep.settle import settle
from medley import logs, stores
from medley.http import stores_ready
from medley.settings import settings
from medley.stores.objects import Stat

SECONDS = 150.0  # for reading records again, of the 300 that a sweep has: what was read has to be written, too


def settle_objects() -> None:
    """Compares songs with their records: a page of objects or, when Redis was emptied, what there is time for.

    The next sweep goes on after that. What one sweep restores is queued in the order in which it was uploaded.
    """
    sweeps = stores.sweeps()
    emptied = sweeps.emptied()
    page = _Page(stores.objects().list(after=sweeps.cursor() or None), emptied)
    restored: list[Restored] = []
    each(page, lambda song: restored.extend(settle(*song, emptied=emptied)), "settling a song", stores_ready)
    each(sorted(restored, key=lambda found: found.created), restore, "restoring a song")
    if sweeps.emptied() == emptied:  # and was not emptied meanwhile: then all is to be read, from the first
        sweeps.go_on_after(page.last)
    if emptied:
        logs.info("records read again", objects=page.seen, restored=len(restored), all=not page.last)
        if not page.last:
            sweeps.mark_read_again()


class _Page:
    """Songs with all their objects, until a page is full; `last` is where the next begins, empty after the last."""

    def __init__(self, stats: Iterable[Stat], emptied: bool) -> None:
        self.seen = 0
        self.last = ""
        self._stats = stats
        self._most = float("inf") if emptied else settings().sweep_page
        self._until = time.monotonic() + SECONDS

    def __iter__(self) -> Iterator[tuple[str, list[Stat]]]:
        """A listing is in the order of names, so a song's objects stand together."""
        for song, group in groupby(self._stats, key=lambda stat: stat.name.split("/", 1)[0]):
            if self.seen >= self._most or (self.seen and time.monotonic() >= self._until):
                return
            found = list(group)
            self.seen, self.last = self.seen + len(found), found[-1].name
            yield song, found
        self.last = ""
