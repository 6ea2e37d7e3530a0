"""A Broker of Knative's rules in memory: takes events, hands them to the Triggers that match, tries again, gives up."""

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from aiohttp import web

from medley.local.cloudevent import Answer, Event, NoEvent, is_event, read
from medley.local.log import Log
from medley.local.manifests import Delivery, Sink, Trigger
from medley.local.revision import Revision

HOPS = 255  # replies that may follow from one event
HOPS_LEFT, ARRIVED = "knativebrokerttl", "knativearrivaltime"
RETRIED = (404, 408, 409, 429)  # of the 4xx
ERROR_DATA = 768  # bytes of an answer that a dead letter tells; Knative's Broker 0.49 ends at more (medley/http.py)
LARGEST = 64 << 20  # bytes of an event; Knative's Broker takes what fits into its memory
DESTINATION = "http://{service}.{namespace}.svc.cluster.local{path}"

Judge = Callable[[Answer], Answer]


class Broker:
    """The Broker. What is under way when it closes is lost, as with the in-memory channel.

    tests/knative holds it to Knative's own. It is stricter in little: it takes no CloudEvents 0.3, no capitals in
    attributes' names, no fractions as their values, and follows no redirects.
    """

    def __init__(self, path: str, triggers: Sequence[Trigger], revisions: Mapping[str, Revision], log: Log) -> None:
        self._path = path
        self._triggers = triggers
        self._revisions = revisions
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The ingress: 202 for an event before anybody got it, 400 for what is none."""
        if request.path.rstrip("/") != self._path:
            return web.Response(status=404)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        body = await request.content.read(LARGEST + 1) if request.can_read_body else b""
        while len(body) <= LARGEST and (piece := await request.content.read(LARGEST + 1)):
            body += piece
        if len(body) > LARGEST:
            return web.Response(status=413)
        try:
            self.enter(read(request.headers, body))
        except NoEvent as error:
            return web.Response(status=400, text=f"no CloudEvent: {error}")
        return web.Response(status=202)

    def enter(self, event: Event) -> None:
        """Takes an event and starts what follows from it. Raises NoEvent when it went in circles."""
        left = _hops_left(event)
        if left <= 0:
            self._log.line("error", "broker", "an event went in circles and was dropped", **_about(event))
            raise NoEvent(f"{HOPS_LEFT} is used up")
        counted = event.having(**{HOPS_LEFT: str(left), ARRIVED: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
        for trigger in self._triggers:
            if trigger.matches(event.attributes):
                self._start(counted, trigger)

    async def settle(self) -> None:
        """Waits until nothing is under way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Drops what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, event: Event, trigger: Trigger) -> None:
        task = asyncio.create_task(self._deliver(event, trigger))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, event: Event, trigger: Trigger) -> None:
        delivery = trigger.delivery
        answer = await self._send(event.without(HOPS_LEFT), trigger.subscriber, delivery, judged)
        if not 200 <= answer.status < 300:
            await self._bury(event, trigger, self._destination(trigger.subscriber), answer)
        elif answer.body or is_event(answer.headers):
            await self._reply(event, trigger, read(answer.headers, answer.body))

    async def _reply(self, event: Event, trigger: Trigger, reply: Event) -> None:
        """An answer's event comes in as any other; where it may not, the one that it answers is a dead letter."""
        try:
            self.enter(reply.having(**{HOPS_LEFT: event.attributes[HOPS_LEFT]}))
        except NoEvent:
            await self._bury(event, trigger, self._destination(Sink("broker-ingress", self._path)), Answer(400))

    async def _bury(self, event: Event, trigger: Trigger, destination: str, answer: Answer) -> None:
        sink = trigger.delivery.dead_letter
        about = {**_about(event), "trigger": trigger.name, "status": answer.status}
        if sink is None:
            self._log.line("error", "broker", "an event was given up", **about)
            return
        self._log.line("error", "broker", "an event was given up and goes to the dead letter sink", **about)
        letter = event.having(**_why(destination, answer)) if answer.told else event
        last = await self._send(letter, sink, trigger.delivery, _as_it_is)
        if not 200 <= last.status < 300:
            self._log.line("error", "broker", "a dead letter was lost", **{**about, "status": last.status})

    async def _send(self, event: Event, sink: Sink, delivery: Delivery, judge: Judge) -> Answer:
        """The last answer of as many attempts as it takes, or as there may be."""
        attempt = 0
        while True:
            answer = judge(await self._attempt(event, sink, delivery.timeout))
            if attempt >= delivery.retry or not is_retried(answer.status):
                return answer
            about = {**_about(event), "to": sink.service, "status": answer.status}
            self._log.line("debug", "broker", "an event will be sent again", **about)
            await asyncio.sleep(delivery.wait(attempt))
            attempt += 1

    async def _attempt(self, event: Event, sink: Sink, timeout: float) -> Answer:
        headers = {**event.headers(), "Prefer": "reply"}
        try:
            async with asyncio.timeout(timeout or None):
                return await self._revisions[sink.service].post(sink.path, headers, event.data)
        except TimeoutError:
            return Answer(500, told=False)

    def _destination(self, sink: Sink) -> str:
        namespace = self._path.split("/")[1]
        return DESTINATION.format(service=sink.service, namespace=namespace, path=sink.path)


def judged(answer: Answer) -> Answer:
    """The answer as the Broker's filter sees it: a 2xx with a body that is no event is a 502."""
    if not 200 <= answer.status < 300 or not (answer.body or is_event(answer.headers)):
        return answer
    try:
        read(answer.headers, answer.body)
    except NoEvent as error:
        return Answer(502, {}, f"the answer's body is no CloudEvent: {error}".encode(), told=False)
    return answer


def _as_it_is(answer: Answer) -> Answer:
    """Dead letters are sent past the filter."""
    return answer


def is_retried(status: int) -> bool:
    """Whether an event is sent again after this status."""
    return status in RETRIED or not 200 <= status < 500


def _hops_left(event: Event) -> int:
    try:
        return int(event.attributes[HOPS_LEFT]) - 1
    except (KeyError, ValueError):
        return HOPS


def _about(event: Event) -> dict[str, str]:
    names = ("type", "source", "id", "subject")
    return {name: event.attributes[name] for name in names if name in event.attributes}


def _why(destination: str, answer: Answer) -> dict[str, str]:
    """What a dead letter has beside its event."""
    data = base64.b64encode(answer.body[:ERROR_DATA]).decode()
    return {"knativeerrordest": destination, "knativeerrorcode": str(answer.status), "knativeerrordata": data}
