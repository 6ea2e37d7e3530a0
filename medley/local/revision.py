"""One function as Knative's queue-proxy gives it: so many requests at a time, so many waiting, so long in all."""

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from medley.errors import MedleyError, NoAnswer, Overloaded, TimedOut
from medley.local.cloudevent import Answer
from medley.local.manifests import Service

QUEUE = 10  # requests that wait, for each that may run


@dataclass(eq=False)
class Instance:
    """One process of a function."""

    url: str
    ready: bool = True
    busy: int = 0  # requests at it
    used: int = 0  # requests so far


class Revision:
    """A function's processes behind one door. Requests that come while no process is ready wait for one."""

    def __init__(self, service: Service, instances: Sequence[Instance], session: aiohttp.ClientSession) -> None:
        self.service = service
        self.instances = instances
        self._session = session
        self._waiting: deque[asyncio.Future[Instance]] = deque()

    def set_ready(self, instance: Instance, ready: bool) -> None:
        """Says that a process came up or went away."""
        instance.ready = ready
        self._wake()

    @asynccontextmanager
    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The function's answer with its body unread; `path` goes as it is, `body` is bytes or an iterator of pieces.

        The time limit runs from the wait for a free slot to the end of the block; the function is not told when it
        ends, and runs on. Raises Overloaded, NoAnswer or TimedOut.
        """
        try:
            async with asyncio.timeout(self.service.timeout), self._slot() as instance:
                url = URL(instance.url + path, encoded=True)
                call = self._session.request(method, url, headers=headers, data=body, allow_redirects=False)
                async with call as response:
                    yield response
        except TimeoutError as error:
            raise TimedOut(f"{self.service.name} did not answer within {self.service.timeout:g} s.") from error
        except (aiohttp.ServerConnectionError, aiohttp.ClientOSError, aiohttp.ClientPayloadError) as error:
            raise NoAnswer(f"{self.service.name} broke off; try again in a moment.", retry_after=1) from error

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """An event's way: the whole answer, with the status queue-proxy would give where there is none."""
        try:
            async with self.request("POST", path, headers, io.BytesIO(body)) as response:
                return Answer(response.status, response.headers, await response.read())
        except MedleyError as error:
            return Answer(error.status, {"Content-Type": "text/plain"}, error.detail.encode())

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[Instance]:
        instance = self._free() if not self._waiting else None
        if instance is None:
            instance = await self._wait()
        else:
            _take(instance)
        try:
            yield instance
        finally:
            instance.busy -= 1
            self._wake()

    async def _wait(self) -> Instance:
        """A slot that was freed for us, in the order of asking."""
        limit = QUEUE * self.service.concurrency * len(self.instances)
        if limit and len(self._waiting) >= limit:
            raise Overloaded(f"{self.service.name} has {limit} requests waiting.", retry_after=1)
        turn: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def _give_up(self, turn: asyncio.Future[Instance]) -> None:
        """Leaves the queue; a slot that came in the same moment goes to the next."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled():
            turn.result().busy -= 1
            self._wake()

    def _wake(self) -> None:
        while self._waiting and (instance := self._free()):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(_take(instance))

    def _free(self) -> Instance | None:
        """The least busy of those that may take one more; of equals, the one used least."""
        limit = self.service.concurrency
        able = [one for one in self.instances if one.ready and (not limit or one.busy < limit)]
        return min(able, key=lambda one: (one.busy, one.used), default=None)


def _take(instance: Instance) -> Instance:
    instance.busy += 1
    instance.used += 1
    return instance


def client() -> aiohttp.ClientSession:
    """The HTTP client of gateway and broker: bodies as they are, and a connection for each request.

    A kept connection may be closed by the function in the moment it is used again, and a POST is not sent twice.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        read_bufsize=256 * 1024,
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
