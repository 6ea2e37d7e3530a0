"""One request to a worker: how long it goes on, what it has failed at, and who is still being told."""

import time
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field

from medley import events, logs
from medley.announce import announce_recorded
from medley.calling import attempt as call
from medley.settings import settings


@dataclass
class Request:
    """Its songs follow each other; clients are told on `aside`, while the next song is in work already."""

    aside: Executor
    deadline: float = field(
        default_factory=lambda: time.monotonic() + settings().time_limit - settings().time_margin
    )  # by time.monotonic(): after it no song is begun, and the one in work is given back
    passed_over: set[str] = field(default_factory=set)  # songs and models that it failed at
    trouble: str = ""  # why it could not load one
    _told: list[Future[None]] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds until the deadline, below 0 after it."""
        return self.deadline - time.monotonic()

    def tell(self, event: str, due: list[str]) -> None:
        """Begins to tell of a song's end: its recorded event, and the first attempt of its callbacks that are due."""
        self._told.append(self.aside.submit(events.traced(self._tell), event, due))

    def is_telling(self, seconds: float) -> bool:
        """Whether somebody is still being told, after `seconds` at most."""
        return bool(wait(self._told, timeout=seconds).not_done)

    def _tell(self, event: str, due: list[str]) -> None:
        """What there is no time for the function `callback` does, which the event wakes."""
        try:
            announce_recorded(event)
            for callback in due:
                if self.left > 0:
                    call(callback)
        except Exception as error:  # nobody looks at this thread
            logs.note("a song's end was not told; the sweep will", error=logs.why(error))
