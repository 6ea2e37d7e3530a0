"""A Redis client that speaks medley's errors, and the scripts that change what belongs together in one step."""

from functools import cache
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from medley.errors import Unavailable

AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.BusyLoadingError,
    redis.OutOfMemoryError,
)
ILL = ("MISCONF", "BUSY", "OOM", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS")  # it answers, but cannot serve now


class Client(redis.Redis):
    """Redis whose absence is medley's Unavailable."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)
        except redis.AuthenticationError as error:
            raise Unavailable("Redis refuses the password in REDIS_URL.", retry_after=60) from error
        except redis.ReadOnlyError as error:
            # What was the primary keeps our connections when it becomes a replica; the address leads to the new one.
            self.connection_pool.disconnect(inuse_connections=False)
            raise _away() from error
        except AWAY as error:
            raise _away() from error
        except redis.ResponseError as error:
            if str(error).startswith(ILL):
                raise _away() from error
            raise

    def run(self, script: str, keys: list[str], *args: Any) -> Any:
        """Runs `scripts/<script>.lua`. Loading it again when the server has forgotten it is redis-py's part."""
        return self.register_script(_source(script))(keys=keys, args=list(args))


def _away() -> Unavailable:
    return Unavailable("Redis does not answer; try again in a moment.", retry_after=5)


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
