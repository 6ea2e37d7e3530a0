"""The list `logging` in Redis: the last lines of all functions' logs."""

from medley import names
from medley.stores.redis import Client


class Logbook:
    """Lines `{host}.{function}.{level}:{message}`, the newest last."""

    def __init__(self, client: Client, length: int) -> None:
        self.redis = client
        self.length = length

    def write(self, host: str, function: str, level: str, message: str) -> None:
        self.redis.run("log", [names.LOGGING], f"{host}.{function}.{level}:{message}", self.length)
