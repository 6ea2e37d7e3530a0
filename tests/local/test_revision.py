"""One function as queue-proxy gives it: slots, the queue, the time limit."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from medley.errors import NoAnswer, Overloaded, TimedOut
from medley.local.cloudevent import Answer
from medley.local.manifests import Service
from medley.local.revision import Revision
from tests.local.harness import Handle, revision, run, until


class Held:
    """A function whose requests wait until they are let go; counts those that run."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.ended = 0
        self.order: list[str] = []
        self.gate = asyncio.Semaphore(0)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.running += 1
        self.most = max(self.most, self.running)
        self.order.append(request.path)
        try:
            await self.gate.acquire()
        finally:
            self.running -= 1
            self.ended += 1
        return web.Response(status=204)

    def let_go(self, count: int = 1000) -> None:
        for _ in range(count):
            self.gate.release()


async def post(one: Revision, path: str = "/") -> Answer:
    return await one.post(path, {}, b"")


def service(**values: Any) -> Service:
    return Service("f", **values)


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (3, 3), (0, 8)])
def test_no_more_run_at_a_time_than_the_concurrency(concurrency: int, most: int) -> None:
    async def test() -> None:
        held = Held()
        async with revision(service(concurrency=concurrency), held) as one:
            calls = [asyncio.create_task(post(one)) for _ in range(8)]
            await until(lambda: held.running == most)
            held.let_go()
            assert [answer.status for answer in await asyncio.gather(*calls)] == [204] * 8
            assert held.most == most

    run(test)


def test_the_queue_is_ten_times_the_concurrency_and_in_order() -> None:
    async def test() -> None:
        held = Held()
        async with revision(service(concurrency=1), held) as one:
            calls = [asyncio.create_task(post(one, f"/{number}")) for number in range(11)]
            await until(lambda: held.running == 1)
            refused = await post(one)
            assert (refused.status, b"10 requests waiting" in refused.body) == (503, True)
            held.let_go()
            await asyncio.gather(*calls)
            assert held.order == [f"/{number}" for number in range(11)]

    run(test)


def test_the_time_limit_takes_the_wait_in() -> None:
    async def test() -> None:
        held = Held()
        async with revision(service(concurrency=1, timeout=0.2), held) as one:
            first, second = await asyncio.gather(post(one), post(one))
            assert (first.status, second.status) == (504, 504)
            assert len(held.order) <= 2
            held.let_go()
            assert (await post(one)).status == 204, "the slots are free again"

    run(test)


def test_errors_of_streams_have_names() -> None:
    async def test() -> None:
        held = Held()
        async with revision(service(concurrency=1, timeout=0.1), held) as one:
            with pytest.raises(TimedOut):
                async with one.request("GET", "/", {}):
                    pass
            one.instances[0].url = "http://127.0.0.1:9"
            with pytest.raises(NoAnswer):
                async with one.request("GET", "/", {}):
                    pass
            one.instances[0].busy = 1
            one._waiting.extend(asyncio.get_running_loop().create_future() for _ in range(10))
            with pytest.raises(Overloaded):
                async with one.request("GET", "/", {}):
                    pass

    run(test)


def test_one_who_leaves_the_queue_takes_no_slot() -> None:
    async def test() -> None:
        held = Held()
        async with revision(service(concurrency=1), held) as one:
            first = asyncio.create_task(post(one, "/first"))
            await until(lambda: held.running == 1)
            leaver, last = asyncio.create_task(post(one, "/leaver")), asyncio.create_task(post(one, "/last"))
            await until(lambda: len(one._waiting) == 2)
            leaver.cancel()
            held.let_go()
            await asyncio.gather(first, last)
            assert held.order == ["/first", "/last"]
            assert one.instances[0].busy == 0

    run(test)


def test_a_slot_that_comes_while_one_leaves_goes_to_the_next() -> None:
    async def test() -> None:
        held = Held()
        held.let_go()
        async with revision(service(concurrency=1), held) as one:
            one.set_ready(one.instances[0], False)
            leaver, last = asyncio.create_task(post(one, "/leaver")), asyncio.create_task(post(one, "/last"))
            await until(lambda: len(one._waiting) == 2)
            one.set_ready(one.instances[0], True)
            leaver.cancel()
            assert (await last).status == 204
            assert (held.order, one.instances[0].busy) == (["/last"], 0)

    run(test)


def test_the_least_busy_instance_is_taken_and_all_are_used() -> None:
    async def test() -> None:
        one_held, other_held = Held(), Held()
        async with revision(service(concurrency=2), one_held, other_held) as one:
            calls = [asyncio.create_task(post(one)) for _ in range(4)]
            await until(lambda: one_held.running == 2 and other_held.running == 2)
            one_held.let_go()
            other_held.let_go()
            await asyncio.gather(*calls)

    run(test)


def test_requests_wait_for_an_instance_that_is_not_ready() -> None:
    async def test() -> None:
        held = Held()
        held.let_go()
        async with revision(service(), held) as one:
            one.set_ready(one.instances[0], False)
            call = asyncio.create_task(post(one))
            await until(lambda: len(one._waiting) == 1)
            assert held.order == []
            one.set_ready(one.instances[0], True)
            assert (await call).status == 204

    run(test)


def test_an_instance_that_is_away_is_a_502() -> None:
    async def away(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def test() -> None:
        handles: list[Handle] = [away]
        async with revision(service(), *handles) as one:
            assert (await post(one)).status == 502

    run(test)
