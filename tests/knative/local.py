"""What the two worlds on this machine share: `medley up`, with a door between its functions and their Broker."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from medley.local import clock, manifests
from medley.local.running import Local
from medley.local.up import MANIFESTS
from tests.e2e.harness import Service
from tests.knative.place import Setting
from tests.knative.relay import Relay, listen
from tests.knative.world import post

HOST = "127.0.0.1"


class Door:
    """A port that leads to the Broker while it is open; where functions announce to."""

    def __init__(self, path: str) -> None:
        self._socket = listen()
        self._port = int(self._socket.getsockname()[1])
        self._relay: Relay
        self._behind = (HOST, 0)
        self.url = f"http://{HOST}:{self._port}{path}"

    def open(self, broker_url: str) -> None:
        """Leads on to a Broker. Who has come before has waited."""
        self._behind = (HOST, urlsplit(broker_url).port or 0)
        self._relay = Relay(self._socket, self._behind)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Whoever comes is refused, and whoever is there is cut off."""
        self._relay.shut()
        try:
            yield
        finally:
            self._relay = Relay(listen(self._port), self._behind)

    def shut(self) -> None:
        self._relay.shut()


class LocalMedley:
    """A `medley up` whose functions announce through a door."""

    def __init__(self, service: Service, door: Door, sweep: str) -> None:
        self.service, self._door, self._sweep = service, door, sweep
        self.broker_url = door.url

    def kill(self, function: str) -> None:
        self.service.local.signal(function, signal.SIGKILL)

    def terminate(self, function: str) -> None:
        local: Local = self.service.local
        pid = local.pid(function)
        os.kill(pid, signal.SIGTERM)
        local.wait(lambda about: about["functions"][function][0]["pid"] not in (None, pid), limit=60)

    def ping(self) -> int:
        (ping,) = manifests.load(MANIFESTS).pings
        return post(self._sweep + ping.sink.path, ping.data.encode(), clock.event(ping).headers())

    @contextmanager
    def broker_away(self) -> Iterator[None]:
        with self._door.closed():
            yield


def service(data: Path, setting: Setting, door: Door) -> Service:
    environment = {**dict(setting.environment), "BROKER_URL": door.url}
    return Service(data, ping=setting.ping, **environment)


def address(service: Service, function: str) -> str:
    """Where a function's process listens."""
    return str(service.local.about()["functions"][function][0]["url"])
