"""Going through the bucket, a page a sweep, and the whole of it when Redis was emptied."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from functions.sweep.each import each
from functions.sweep.restore import Restored, restore
from functions.sweep.settle import settle
from medley import logs, stores
from medley.settings import settings
from medley.stores.objects import Stat


def settle_objects() -> None:
    """Compares songs with their records. Restored songs are queued in the order in which they were uploaded."""
    sweeps = stores.sweeps()
    whole = sweeps.emptied()
    page = _Page(stores.objects().list(after=None if whole else sweeps.cursor() or None), whole)
    restored: list[Restored] = []
    each(page, lambda song: restored.extend(settle(*song, whole=whole)), "settling a song")
    each(sorted(restored, key=lambda found: found.created), restore, "restoring a song")
    sweeps.go_on_after(page.last)
    if whole:
        sweeps.listed_whole()
        logs.info("records compared with every object", objects=page.seen, restored=len(restored))


class _Page:
    """Songs with all their objects, until a page is full; `last` is where the next begins, empty after the last."""

    def __init__(self, stats: Iterable[Stat], whole: bool) -> None:
        self.seen = 0
        self.last = ""
        self._stats = stats
        self._most = float("inf") if whole else settings().sweep_page

    def __iter__(self) -> Iterator[tuple[str, list[Stat]]]:
        """A listing is in the order of names, so a song's objects stand together."""
        for song, group in groupby(self._stats, key=lambda stat: stat.name.split("/", 1)[0]):
            if self.seen >= self._most:
                return
            found = list(group)
            self.seen, self.last = self.seen + len(found), found[-1].name
            yield song, found
        self.last = ""
