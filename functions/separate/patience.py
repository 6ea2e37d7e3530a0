"""Waiting out a store that is away for a moment, so that a restart of it costs no song its attempt."""

import time
from collections.abc import Callable
from typing import TypeVar

from medley.errors import Unavailable
from medley.http import draining
from medley.settings import settings

T = TypeVar("T")


def patiently(act: Callable[[], T]) -> T:
    """Does it again while a store is away, for as long as a lease lasts; then raises Unavailable."""
    until = time.monotonic() + settings().lease_seconds
    pause = 0.1
    while True:
        try:
            return act()
        except Unavailable:
            if time.monotonic() + pause > until or draining.is_set():
                raise
        time.sleep(pause)
        pause = min(pause * 2, 2.0)
