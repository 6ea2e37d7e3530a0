"""Callbacks in Redis: which are due, who claims one, and every attempt."""

import json
import time
from dataclasses import asdict

from medley import names
from medley.callback import Attempt, Callback, read_callback
from medley.stores.redis import Client

KEEP_SETTLED = 2 * 86400  # s


class Callbacks:
    """Every change of a callback is one script."""

    def __init__(self, client: Client) -> None:
        self.redis = client

    def get(self, callback: str) -> Callback | None:
        record: dict[str, str] = self.redis.hgetall(names.callback_key(callback))
        return read_callback(callback, record) if record else None

    def next_attempt(self, callback: str) -> float | None:
        """When it is due next, s since 1970."""
        score = self.redis.zscore(names.CALLBACKS, callback)
        return None if score is None else float(score)

    def due(self, limit: int) -> list[str]:
        """Those due now, longest due first."""
        found = self.redis.zrangebyscore(names.CALLBACKS, 0, time.time(), start=0, num=limit)
        return [str(callback) for callback in found]

    def claim(self, callback: str, attempt_limit: float) -> Callback | None:
        """The callback if it is due, which nobody else is given for the `attempt_limit` seconds it takes to try."""
        now = time.time()
        keys = [names.callback_key(callback), names.CALLBACKS]
        flat = self.redis.run("claim_callback", keys, callback, now, now + attempt_limit)
        record = dict(zip(flat[::2], flat[1::2], strict=True))
        return read_callback(callback, record) if record else None

    def record(self, callback: Callback, attempt: Attempt, state: str, again: float | None) -> bool:
        """Records the attempt of a claim, the state after it, and when the next one is due if it is not settled.

        False when another attempt has been begun or asked for since, whose state it is.
        """
        keys = [names.callback_key(callback.id), names.CALLBACKS]
        when = "" if again is None else again
        args = (callback.id, callback.tries, json.dumps(asdict(attempt)), state, when, KEEP_SETTLED)
        return bool(self.redis.run("record_attempt", keys, *args))

    def again(self, callback: str, song: str) -> str | None:
        """Makes it due now. Returns its state before, None when the song has no such callback."""
        keys = [names.callback_key(callback), names.CALLBACKS]
        state = self.redis.run("call_again", keys, callback, song, time.time())
        return str(state) if state else None

    def forget(self, callback: str) -> None:
        """One that is due but of which nothing else is known."""
        self.redis.zrem(names.CALLBACKS, callback)
