"""The Broker by Knative's rules, with subscribers on real ports."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable
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


def of_type(name: str) -> Callable[..., bool]:
    return parse({"exact": {"type": name}}, "test")


class Harness:
    def __init__(self, broker: Broker, url: str, session: aiohttp.ClientSession, log: Lines) -> None:
        self.broker, self.url, self.session, self.log = broker, url, session, log

    async def post(self, body: bytes, headers: dict[str, str], path: str = PATH) -> int:
        async with self.session.post(self.url + path, data=io.BytesIO(body), headers=headers) as response:
            return response.status

    async def send(self, **more: Any) -> int:
        """Posts an event and waits for all that follows from it."""
        status = await self.post(json.dumps(event(**more)).encode(), STRUCTURED)
        await self.broker.settle()
        return status


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


def to(name: str, delivery: Delivery = QUICK, path: str = "/", event_type: str = "asked") -> Trigger:
    return Trigger(name, Sink(name, path), of_type(event_type), delivery)


def test_a_structured_event_reaches_those_whose_filter_holds_in_binary_mode() -> None:
    one, other = Subscriber(), Subscriber()

    async def test() -> None:
        async with broker([to("one", path="/in"), to("other", event_type="else")], one=one, other=other) as at:
            assert await at.send(subject="ä b%", traceparent="00-1", big=5, yes=True) == 202

    run(test)
    ((path, headers, body),) = one.got
    assert path == "/in"
    assert json.loads(body) == {"a": 1}
    assert headers["content-type"] == "application/json"
    assert {name: headers[f"ce-{name}"] for name in ("type", "id", "subject", "big", "yes")} == {
        "type": "asked",
        "id": "1",
        "subject": "ä b%".encode().decode("latin-1"),
        "big": "5",
        "yes": "true",
    }
    assert "ce-knativebrokerttl" not in headers
    assert other.got == []


def test_a_binary_event_passes_unchanged() -> None:
    one = Subscriber()
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/s", "ce-type": "asked", "ce-subject": "a%20b"}

    async def test() -> None:
        async with broker([to("one")], one=one) as at:
            assert await at.post(b"\x00\xff", {**headers, "Content-Type": "application/x"}) == 202
            await at.broker.settle()

    run(test)
    ((_, got, body),) = one.got
    assert body == b"\x00\xff"
    assert {name: got[name] for name in headers} == headers
    assert got["content-type"] == "application/x"


@pytest.mark.parametrize(
    ("body", "headers", "path", "status"),
    [
        (b"{}", {"Content-Type": "application/json"}, PATH, 400),
        (b"not json", STRUCTURED, PATH, 400),
        (b"[]", STRUCTURED, PATH, 400),
        (json.dumps(event(specversion="0.3")).encode(), STRUCTURED, PATH, 400),
        (json.dumps(event(id="")).encode(), STRUCTURED, PATH, 400),
        (json.dumps(event(nested={"a": 1})).encode(), STRUCTURED, PATH, 400),
        (json.dumps(event(Upper="a")).encode(), STRUCTURED, PATH, 400),
        (json.dumps(event(data_base64="*")).encode(), STRUCTURED, PATH, 400),
        (b"", {"ce-specversion": "1.0", "ce-type": "asked", "ce-source": "/s"}, PATH, 400),
        (json.dumps(event(data="x" * 5000)).encode(), STRUCTURED, PATH, 413),
        (json.dumps(event()).encode(), STRUCTURED, "/default/other", 404),
    ],
)
def test_what_is_no_event_is_refused(
    body: bytes, headers: dict[str, str], path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medley.local.broker.LARGEST", 4096)
    one = Subscriber()

    async def test() -> None:
        async with broker([to("one")], one=one) as at:
            assert await at.post(body, headers, path) == status
            await at.broker.settle()

    run(test)
    assert one.got == []


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_until_it_is_done(status: int) -> None:
    one = Subscriber(status, status, 204)

    async def test() -> None:
        async with broker([to("one")], one=one) as at:
            await at.send()
            assert not [line for line in at.log.lines if line[0] == "error"]

    run(test)
    assert len(one.got) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 410, 413, 422])
def test_what_will_not_pass_is_tried_once(status: int) -> None:
    one, letters = Subscriber(status), Subscriber()

    async def test() -> None:
        async with broker(
            [to("one", Delivery(3, delay=0.0, dead_letter=Sink("letters")))], one=one, letters=letters
        ) as at:
            await at.send()

    run(test)
    assert len(one.got) == 1
    assert len(letters.got) == 1


def test_an_ok_that_is_no_event_counts_as_a_failure() -> None:
    one, letters = Subscriber(web.Response(text="OK")), Subscriber()
    answers = [web.Response(text="OK") for _ in range(4)]
    one.answers = list(answers)

    async def test() -> None:
        async with broker(
            [to("one", Delivery(3, delay=0.0, dead_letter=Sink("letters")))], one=one, letters=letters
        ) as at:
            await at.send()

    run(test)
    assert len(one.got) == 4
    ((_, headers, _),) = letters.got
    assert "ce-knativeerrorcode" not in headers


def test_a_dead_letter_is_the_event_and_what_went_wrong() -> None:
    one, letters = Subscriber(web.Response(status=422, text="no\nsong")), Subscriber()

    async def test() -> None:
        delivery = Delivery(3, delay=0.0, dead_letter=Sink("letters", "/dead"))
        async with broker([to("one", delivery, "/in")], one=one, letters=letters) as at:
            await at.send(subject="s")

    run(test)
    ((path, headers, body),) = letters.got
    assert (path, json.loads(body)) == ("/dead", {"a": 1})
    assert (headers["ce-id"], headers["ce-type"], headers["ce-subject"]) == ("1", "asked", "s")
    assert headers["ce-knativeerrordest"] == "http://one.default.svc.cluster.local/in"
    assert headers["ce-knativeerrorcode"] == "422"
    assert base64.b64decode(headers["ce-knativeerrordata"]) == b"no\nsong"


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


def test_an_answer_that_does_not_come_in_time_is_asked_for_again() -> None:
    one = Subscriber()
    slow = [True]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if slow.pop() if slow else False:
            await asyncio.sleep(60)
        return await one(request)

    async def test() -> None:
        async with broker([to("one", Delivery(1, delay=0.0, timeout=0.1))], one=answer) as at:
            await at.send()

    run(test)
    assert len(one.got) == 1


def test_a_subscriber_that_breaks_off_is_asked_again() -> None:
    one = Subscriber()
    broken = [True]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if broken.pop() if broken else False:
            assert request.transport is not None
            request.transport.abort()
        return await one(request)

    async def test() -> None:
        async with broker([to("one")], one=answer) as at:
            await at.send()

    run(test)
    assert one.got


@pytest.mark.parametrize(
    "reply",
    [
        lambda: web.Response(headers={"ce-specversion": "1.0", "ce-id": "2", "ce-source": "/r", "ce-type": "told"}),
        lambda: web.json_response(event(id="2", type="told"), content_type="application/cloudevents+json"),
    ],
    ids=["binary", "structured"],
)
def test_a_reply_goes_through_the_broker(reply: Callable[[], web.Response]) -> None:
    one, two = Subscriber(reply()), Subscriber()

    async def test() -> None:
        async with broker([to("one"), to("two", event_type="told")], one=one, two=two) as at:
            await at.send()

    run(test)
    ((_, headers, _),) = two.got
    assert (headers["ce-id"], headers["ce-type"]) == ("2", "told")


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


def test_the_poster_does_not_wait_for_subscribers() -> None:
    going = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        await going.wait()
        return web.Response(status=204)

    async def test() -> None:
        async with broker([to("one")], one=slow) as at:
            assert await at.post(json.dumps(event()).encode(), STRUCTURED) == 202
            going.set()
            await at.broker.settle()

    run(test)
