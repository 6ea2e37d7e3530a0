"""What the rehearsal's Broker refuses and tells; Knative's rules it is held to by tests/knative."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from medley.local.broker import HOPS, Broker
from medley.local.filters import parse
from medley.local.manifests import Delivery, Service, Sink, Trigger
from tests.local.harness import Handle, Lines, Subscriber, caller, revision, run, served

PATH = "/default/default"
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
QUICK = Delivery(retry=3, delay=0.0)


def event(**more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/test", "type": "asked", "data": {"a": 1}, **more}


class Harness:
    def __init__(self, broker: Broker, url: str, session: aiohttp.ClientSession, log: Lines) -> None:
        self.broker, self.url, self.session, self.log = broker, url, session, log

    async def send(self, **more: Any) -> int:
        """Posts an event and waits for all that follows from it."""
        body = io.BytesIO(json.dumps(event(**more)).encode())
        async with self.session.post(self.url + PATH, data=body, headers=STRUCTURED) as response:
            await self.broker.settle()
            return response.status


@asynccontextmanager
async def broker(triggers: list[Trigger], **subscribers: Handle) -> AsyncIterator[Harness]:
    log = Lines()
    async with AsyncExitStack() as stack:
        revisions = {
            name: await stack.enter_async_context(revision(Service(name, concurrency=5), handle))
            for name, handle in subscribers.items()
        }
        made = Broker(PATH, triggers, revisions, log)
        url = await stack.enter_async_context(served(made.handle))
        session = await stack.enter_async_context(caller())
        yield Harness(made, url, session, log)
        await made.close()


def to(name: str, delivery: Delivery = QUICK) -> Trigger:
    return Trigger(name, Sink(name), parse({"exact": {"type": "asked"}}, "test"), delivery)


@pytest.mark.parametrize(
    ("attributes", "status"), [({"specversion": "0.3"}, 400), ({"Upper": "a"}, 400), ({"data": "x" * 5000}, 413)]
)
def test_it_refuses_what_knative_lets_through(
    attributes: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old version, a name that is none, and more than one machine should hold."""
    monkeypatch.setattr("medley.local.broker.LARGEST", 4096)
    one = Subscriber()

    async def test() -> None:
        async with broker([to("one")], one=one) as at:
            assert await at.send(**attributes) == status

    run(test)
    assert one.got == []


def test_a_dead_letter_that_nobody_takes_is_told_and_ends() -> None:
    one, letters = Subscriber(500), Subscriber(500)

    async def test() -> None:
        async with broker(
            [to("one", Delivery(1, delay=0.0, dead_letter=Sink("letters")))], one=one, letters=letters
        ) as at:
            await at.send()
            assert [line[2] for line in at.log.lines if line[0] == "error"][-1] == "a dead letter was lost"

    run(test)
    assert (len(one.got), len(letters.got)) == (2, 2)


def test_a_circle_of_replies_ends() -> None:
    count = 0

    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal count
        count += 1
        await request.read()
        return web.json_response(event(), content_type="application/cloudevents+json")

    async def test() -> None:
        async with broker([to("one")], one=echo) as at:
            await at.send()
            assert "circles" in at.log.lines[-2][2]
            assert at.log.lines[-1][2] == "an event was given up"

    run(test)
    assert count == HOPS
