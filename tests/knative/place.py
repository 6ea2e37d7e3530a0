"""The whole of medley in a world: where the rows about songs are played."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tests.e2e.faults.stage import Stage
from tests.e2e.harness import Service, eventually


@dataclass(frozen=True)
class Setting:
    """Settings of the functions, and s between two pings (0: as knative/base says). Equal ones share a place."""

    environment: tuple[tuple[str, str], ...] = ()
    ping: float = 1.0


class Running(Protocol):
    """A running medley, and what can be done to it."""

    service: Service  # its client and stores
    broker_url: str  # where events are posted to

    def kill(self, function: str) -> None:
        """Ends the function's process at once, as for want of memory; it is started again."""

    def terminate(self, function: str) -> None:
        """Ends it as a scaled-down pod: SIGTERM. Returns when it has ended; it is started again."""

    def ping(self) -> int:
        """Posts what PingSource sends to where PingSource sends it; the status of the answer."""

    def broker_away(self) -> AbstractContextManager[None]:
        """No Broker can be reached until the block is left."""


@dataclass(kw_only=True)
class Place(Stage):
    """One row's place: a running medley, and what the row did to it."""

    running: Running

    def said(self, message: str, song: str) -> int:
        """How often `separate` said that of a song, once it has: on its way to a log a line may take a moment."""
        return len(eventually(lambda: self.lines(message, song)))
