"""Going through the bucket, a page a sweep, and the whole of it when Redis was emptied."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from functions.sweep.settle import Restored, restore, settle
from medley import logs, stores
from medley.settings import settings
from medley.stores.objects import Stat


def settle_objects() -> None:
    """Compares songs with their records. Restored songs are queued in the order in which they were uploaded."""
    sweeps = stores.sweeps()
    whole = sweeps.emptied()
    cursor = "" if whole else sweeps.cursor()
    restored: list[Restored] = []
    seen, last = 0, ""
    for song, stats in _songs(stores.objects().list(after=cursor or None)):
        restored += settle(song, stats, whole=whole)
        seen, last = seen + len(stats), stats[-1].name
        if not whole and seen >= settings().sweep_page:
            break
    else:
        last = ""
    for song_restored in sorted(restored, key=lambda found: found.created):
        restore(song_restored)
    sweeps.go_on_after(last)
    if whole:
        sweeps.listed_whole()
        logs.info("records compared with every object", objects=seen, restored=len(restored))


def _songs(stats: Iterable[Stat]) -> Iterator[tuple[str, list[Stat]]]:
    """The objects of each song; a listing is in the order of names, so they stand together."""
    for song, found in groupby(stats, key=lambda stat: stat.name.split("/", 1)[0]):
        yield song, list(found)
