"""PingSource's clock: at the minutes of a cron schedule, an empty event straight to a function."""

import asyncio
import time
import uuid

from medley import names
from medley.local.cloudevent import Event
from medley.local.filters import BadManifest
from medley.local.log import Log
from medley.local.manifests import Ping
from medley.local.revision import Revision

SOURCE = "/apis/v1/namespaces/{namespace}/pingsources/{name}"


async def run(ping: Ping, revision: Revision, log: Log, every: float = 0.0) -> None:
    """Posts for ever: at the schedule's minutes or, if `every` is given, each that many seconds."""
    due = minutes(ping)
    while True:
        await asyncio.sleep(every or wait(due, time.time()))
        answer = await revision.post(ping.sink.path, event(ping).headers(), ping.data.encode())
        if not 200 <= answer.status < 300:
            log.line("error", "clock", "a ping failed", name=ping.name, status=answer.status)


def event(ping: Ping) -> Event:
    """What PingSource sends."""
    attributes = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "type": names.PING,
        "source": SOURCE.format(namespace="default", name=ping.name),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if ping.content_type:
        attributes["datacontenttype"] = ping.content_type
    return Event(attributes, ping.data.encode())


def wait(due: frozenset[int], now: float) -> float:
    """Seconds from `now` (s since 1970) to the next of these minutes of an hour."""
    this = int(now // 60)
    following = next(minute for minute in range(this + 1, this + 61) if minute % 60 in due)
    return following * 60 - now


def minutes(ping: Ping) -> frozenset[int]:
    """The minutes of an hour that a schedule names. Raises BadManifest for what says more than minutes."""
    fields = ping.schedule.split()
    if len(fields) != 5 or fields[1:] != ["*"] * 4:
        raise BadManifest(f"PingSource {ping.name}: only minutes can be followed here, not {ping.schedule!r}")
    try:
        found = frozenset(minute for item in fields[0].split(",") for minute in _item(item))
    except ValueError as error:
        raise BadManifest(f"PingSource {ping.name}: {ping.schedule!r} is no schedule") from error
    if not found or not found <= frozenset(range(60)):
        raise BadManifest(f"PingSource {ping.name}: {ping.schedule!r} names no minutes of an hour")
    return found


def _item(text: str) -> range:
    """`*`, `5`, `5-10`, each with `/step`."""
    span, _, step = text.partition("/")
    first, _, last = span.partition("-")
    if span == "*":
        first, last = "0", "59"
    elif not last:
        last = "59" if step else first
    return range(int(first), int(last) + 1, int(step or 1))
