"""Announcing: an event only wakes, so what cannot be published now the sweep announces later."""

from medley import logs, stores
from medley.errors import Unavailable
from medley.publish import publish


def announce(event: str) -> bool:
    """Publishes an event if that can be done now; whether it was."""
    try:
        publish(event)
    except Unavailable as error:
        # Only to stderr: the log sink is as far away as the Broker.
        logs.note("not announced; the sweep will", error=error.detail)
        return False
    return True


def announce_recorded(event: str) -> None:
    """Publishes an event that a script has put into the outbox, and takes it out."""
    if announce(event):
        stores.outbox().published(event)
