"""Asking a server by a bounded number of connections, and how long it takes to answer."""

import asyncio
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import aiohttp


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """What came of it: answers, the seconds that all took together, and those of each."""

    count: int
    seconds: float
    times: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.count / self.seconds

    def quantile(self, percent: int) -> float:
        """So many of a hundred requests were answered within these seconds."""
        return statistics.quantiles(self.times, n=100)[percent - 1]


def ask(requests: Iterable[Request], connections: int) -> Load:
    """Sends all, so many at a time, each connection kept open. Raises RuntimeError for an answer that is no 2xx."""
    return asyncio.run(_ask(iter(requests), connections))


async def _ask(requests: Iterator[Request], connections: int) -> Load:
    times: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        start = time.perf_counter()
        await asyncio.gather(*(_one_after_the_other(session, requests, times) for _ in range(connections)))
        return Load(len(times), time.perf_counter() - start, tuple(times))


async def _one_after_the_other(session: aiohttp.ClientSession, requests: Iterator[Request], times: list[float]) -> None:
    for one in requests:
        start = time.perf_counter()
        async with session.request(one.method, one.url, data=one.body or None, headers=one.headers) as answer:
            body = await answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{one.method} {one.url}: {answer.status} {body[:300]!r}")
        times.append(time.perf_counter() - start)
