"""A Redis client that speaks medley's errors, and the scripts that change what belongs together in one step."""

from functools import cache
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from medley.errors import Unavailable

AWAY = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, redis.ReadOnlyError)


class Client(redis.Redis):
    """Redis whose absence is medley's Unavailable."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)
        except AWAY as error:
            raise Unavailable("Redis does not answer; try again in a moment.", retry_after=5) from error

    def run(self, script: str, keys: list[str], *args: Any) -> Any:
        """Runs `scripts/<script>.lua`. Loading it again when the server has forgotten it is redis-py's part."""
        return self.register_script(_source(script))(keys=keys, args=list(args))


@cache
def _source(script: str) -> str:
    return (files("medley.stores") / "scripts" / f"{script}.lua").read_text()


def connect(url: str) -> Client:
    """A client that gives up on a server that does not answer after seconds, not minutes."""
    client: Client = Client.from_url(
        url,
        decode_responses=True,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2),
    )
    return client
