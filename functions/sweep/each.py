"""Doing something with each of many, whatever happens with one."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from medley import logs
from medley.errors import Unavailable

T = TypeVar("T")


def each(items: Iterable[T], act: Callable[[T], None], about: str) -> None:
    """One item that cannot be dealt with must not keep the others from it. Raises Unavailable: all would fail alike."""
    for item in items:
        try:
            act(item)
        except Unavailable:
            raise
        except Exception as error:
            logs.note(f"{about} failed", item=str(item)[:300], error=logs.why(error))
