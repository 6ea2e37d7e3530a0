"""Events that were recorded with what they tell of, until they are known to be published."""

import time

from medley import names
from medley.stores.redis import Client


class Outbox:
    """A transactional outbox: scripts put structured events here, whoever publishes one takes it out."""

    def __init__(self, client: Client) -> None:
        self.redis = client

    def older_than(self, age: float, limit: int = 100) -> list[str]:
        """Events that have been waiting for `age` seconds: whoever was to publish them is gone."""
        found = self.redis.zrangebyscore(names.OUTBOX, 0, time.time() - age, start=0, num=limit)
        return [str(event) for event in found]

    def published(self, event: str) -> None:
        self.redis.zrem(names.OUTBOX, event)
