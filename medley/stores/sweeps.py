"""What the sweep remembers in Redis between two runs."""

from medley import names
from medley.stores.redis import Client


class Sweeps:
    """Where the listing of objects goes on, and whether Redis still knows what it knew."""

    def __init__(self, client: Client) -> None:
        self.redis = client

    def emptied(self) -> bool:
        """Whether Redis has lost everything, and not all of it was read again yet."""
        return not self.redis.exists(names.MARKER)

    def mark_read_again(self) -> None:
        self.redis.set(names.MARKER, "1")

    def cursor(self) -> str:
        """The object after which the next page begins; empty for the first."""
        return str(self.redis.get(names.SWEEP_CURSOR) or "")

    def go_on_after(self, name: str) -> None:
        self.redis.set(names.SWEEP_CURSOR, name)
