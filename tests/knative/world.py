"""What a world is to the table of behaviours: a place where the same manifests and events can be played."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tests.e2e.harness import eventually
from tests.knative.place import Running, Setting
from tests.knative.subscriber import Delivery, Subscriber, listening
from tests.manifests.rendering import Document

Mode = Literal["structured", "binary"]
MODES: tuple[Mode, ...] = ("structured", "binary")
QUIET = 1.0  # s without a delivery after which none comes any more: longer than any back-off in the rows that wait so


class World(Protocol):
    """Where the rows are played: `rehearsal` (medley/local), `processes` (Knative's parts), a cluster."""

    name: str
    address: str  # where servers of the tests must listen to be reached

    def broker(self, documents: Sequence[Document], addresses: Mapping[str, str]) -> AbstractContextManager[str]:
        """A Broker of its own with the Triggers among `documents`; the URL that events are posted to.

        `addresses` has the servers (`http://host:port`) that stand for the Knative Services which the Triggers name.
        Where there is something like queue-proxy, it follows the Services among `documents`. A Trigger whose Service is
        not among the addresses has no function.
        """

    def medley(self, setting: Setting) -> AbstractContextManager[Running]:
        """The whole of medley, its functions announcing to this world's Broker, for rows about songs."""


@dataclass
class Lab:
    """A world's Broker as rows use it, with what came of it."""

    world: World
    functions: Mapping[str, str] = field(default_factory=dict)  # addresses of medley's own, for the rows that ask them
    url: str = ""
    subscribers: dict[str, Subscriber] = field(default_factory=dict)
    sent: float = 0.0  # when the last event was, in s since 1970

    @contextmanager
    def broker(self, documents: Sequence[Document], **subscribers: Subscriber) -> Iterator[None]:
        """A Broker inside the block, whose Triggers lead to these subscribers."""
        with ExitStack() as stack:
            addresses = {
                name: stack.enter_context(listening(subscriber, self.world.address))
                for name, subscriber in subscribers.items()
            }
            self.subscribers = subscribers
            self.url = stack.enter_context(self.world.broker(documents, addresses))
            yield

    def send(self, event: Mapping[str, Any], mode: Mode = "structured") -> int:
        """Posts an event; the status of the Broker's answer."""
        status = post(self.url, *encoded(event, mode))
        self.sent = time.time()
        return status

    def calm(self) -> None:
        """Waits until no deliveries come any more."""
        while time.time() - max([self.sent, *(one.at for one in self._deliveries())]) < QUIET:
            time.sleep(0.05)

    def eventually(self, subscriber: Subscriber, count: int) -> list[Delivery]:
        """What came to a subscriber: so many deliveries, and no more."""
        eventually(lambda: len(subscriber.got) >= count, pause=0.02)
        self.calm()
        assert len(subscriber.got) == count, subscriber.got
        return subscriber.got

    def _deliveries(self) -> list[Delivery]:
        return [one for subscriber in self.subscribers.values() for one in subscriber.got]


def event(event_type: str = "dev.medley.test", **attributes: Any) -> dict[str, Any]:
    """An event in its JSON format; `data` among its attributes."""
    made = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/tests", "type": event_type}
    return {**made, "datacontenttype": "application/json", "data": {"a": 1}, **attributes}


def encoded(event: Mapping[str, Any], mode: Mode) -> tuple[bytes, dict[str, str]]:
    """A message's body and headers."""
    if mode == "structured":
        return json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"}
    inner = ("data", "datacontenttype")
    headers = {f"ce-{name}": str(value) for name, value in event.items() if name not in inner}
    return json.dumps(event.get("data")).encode(), {**headers, "Content-Type": str(event["datacontenttype"])}


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer to a POST."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, dict(headers)), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
