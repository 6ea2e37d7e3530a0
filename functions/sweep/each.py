"""Doing something with each of many, whatever happens with one."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from medley import logs
from medley.errors import Unavailable

T = TypeVar("T")


def each(items: Iterable[T], act: Callable[[T], None], about: str, ready: Callable[[], None] | None = None) -> None:
    """One item that cannot be dealt with must not keep the others from it.

    Raises Unavailable where all would fail alike: `ready` raises it then, and is none where that cannot be asked.
    """
    for item in items:
        try:
            act(item)
        except Exception as error:
            if isinstance(error, Unavailable):
                if ready is None:
                    raise
                ready()
            logs.note(f"{about} failed", item=str(item)[:300], error=logs.why(error))
