"""Subscribers and clients on loopback ports, for the tests of the one-machine mode."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from medley.local.manifests import Service
from medley.local.revision import Instance, Revision, client
from medley.local.serving import serve

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test's coroutine; nothing in these tests takes longer than the limit unless it hangs."""

    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


@dataclass
class Lines:
    """A log that is kept."""

    lines: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)

    def line(self, level: str, function: str, message: str, **fields: Any) -> None:
        self.lines.append((level, function, message, fields))


class Subscriber:
    """Answers with what it is told, the last of it for ever, and keeps what it got."""

    def __init__(self, *answers: web.Response | int) -> None:
        self.answers = list(answers) or [204]
        self.got: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((request.path, headers, await request.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=answer) if isinstance(answer, int) else answer


@asynccontextmanager
async def served(handle: Handle) -> AsyncIterator[str]:
    """The address of a server that answers with `handle`."""
    runner, port = await serve(handle, 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def revision(service: Service, *handles: Handle) -> AsyncIterator[Revision]:
    """A revision with one instance for each handler."""
    async with client() as session:
        instances: list[Instance] = []
        runners = []
        for handle in handles:
            runner, port = await serve(handle, 0)
            runners.append(runner)
            instances.append(Instance(f"http://127.0.0.1:{port}"))
        try:
            yield Revision(service, instances, session)
        finally:
            for runner in runners:
                await runner.cleanup()


async def until(true: Callable[[], bool]) -> None:
    """Waits until something has become true."""
    while not true():
        await asyncio.sleep(0.005)


def caller() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(auto_decompress=False)
