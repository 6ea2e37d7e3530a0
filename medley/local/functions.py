"""The functions' processes, each watched until it is ready, and their revisions."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import aiohttp

from medley.local import ports
from medley.local.folder import Trouble
from medley.local.log import LogFile
from medley.local.manifests import Manifests, Service
from medley.local.process import Child
from medley.local.revision import Instance, Revision
from medley.local.serving import HOST
from medley.settings import Settings

MANY = "separate"  # the function that runs in as many processes as there are workers
START = 120.0  # s in which all functions must be ready
TRIES = 5  # ends of a process that was never ready: it will not start
LISTENS_AGAIN, READY_AGAIN = 0.05, 1.0  # s between two looks: while nothing listens, and while it says it is not ready
LOOK = aiohttp.ClientTimeout(total=5.0)


@dataclass
class _Process:
    """One process of a function; `was_ready` ever."""

    function: str
    instance: Instance
    port: int
    child: Child
    was_ready: bool = False
    look: asyncio.Task[None] | None = None


class Functions:
    """All functions of the manifests. `stores_ready` is to be set when it makes sense to ask them whether they are."""

    def __init__(
        self, manifests: Manifests, workers: int, settings: Settings, session: aiohttp.ClientSession, log: LogFile
    ) -> None:
        self.stores_ready = asyncio.Event()
        self.revisions: dict[str, Revision] = {}
        self._workers, self._session, self._log = workers, session, log
        self._processes: list[_Process] = []
        self._changed: Callable[[], None] = lambda: None
        for service in manifests.services.values():
            timed = _timed(service, settings)
            count = workers if service.name == MANY else 1
            instances = [Instance(f"http://{HOST}:{port}", ready=False) for port in ports.free(count)]
            self.revisions[service.name] = Revision(timed, instances, session)

    def start(self, environment: Mapping[str, str], root: Path, changed: Callable[[], None]) -> None:
        """Starts every process; `changed` is called whenever what `about()` says has changed."""
        self._changed = changed
        for name, revision in self.revisions.items():
            for number, instance in enumerate(revision.instances):
                port = int(instance.url.rpartition(":")[2])
                values = {**_own(revision.service, environment), "PORT": str(port)}
                command = [sys.executable, "-m", "medley.serve", name]
                title = name if len(revision.instances) == 1 else f"{name}-{number}"
                child = Child(title, command, values, root, self._log, self._log.of(title))
                self._add(_Process(name, instance, port, child))

    async def ready(self) -> None:
        """Waits until every process has been ready once. Raises Trouble when one will not be."""
        try:
            async with asyncio.timeout(START):
                while late := [one for one in self._processes if not one.was_ready]:
                    for one in late:
                        if one.child.starts > TRIES:
                            raise Trouble(f"the function {one.function} does not start; the lines above say why.")
                    await asyncio.sleep(LISTENS_AGAIN)
        except TimeoutError as error:
            names = ", ".join(one.child.name for one in self._processes if not one.was_ready)
            raise Trouble(f"not ready after {START:g} s: {names}; see the log.") from error

    async def stop(self, grace: float) -> None:
        """Ends all processes, within `grace` seconds for what they are at."""
        await asyncio.gather(*(one.child.stop(grace) for one in self._processes))

    def kill(self) -> None:
        """Ends all processes at once."""
        for one in self._processes:
            one.child.kill()

    def about(self) -> dict[str, Any]:
        """Process id, port and state of each process, by function."""
        found: dict[str, Any] = {}
        for one in self._processes:
            about = {"pid": one.child.pid, "port": one.port, "url": one.instance.url}
            found.setdefault(one.function, []).append(
                {**about, "ready": one.instance.ready, "starts": one.child.starts}
            )
        return found

    def _add(self, one: _Process) -> None:
        self._processes.append(one)
        one.child.on_start = lambda: self._began(one)
        one.child.on_end = lambda: self._ended(one)
        one.child.start()

    def _began(self, one: _Process) -> None:
        one.look = asyncio.create_task(self._look(one))
        self._changed()

    def _ended(self, one: _Process) -> None:
        if one.look is not None:
            one.look.cancel()
        self._set_ready(one, False)

    def _set_ready(self, one: _Process, ready: bool) -> None:
        one.was_ready = one.was_ready or ready
        self.revisions[one.function].set_ready(one.instance, ready)
        self._changed()

    async def _look(self, one: _Process) -> None:
        """Asks a process that has been started until it is ready; from then on it counts as ready until it ends."""
        await self.stores_ready.wait()
        while True:
            try:
                async with self._session.get(f"{one.instance.url}/ready", timeout=LOOK) as response:
                    if response.status == 200:
                        break
                pause = READY_AGAIN
            except (aiohttp.ClientError, TimeoutError):
                pause = LISTENS_AGAIN
            await asyncio.sleep(pause)
        self._set_ready(one, True)


def _timed(service: Service, settings: Settings) -> Service:
    """TIME_LIMIT is the worker's timeoutSeconds: where it was set to less, so is that."""
    if service.name != MANY:
        return service
    return replace(service, timeout=min(service.timeout, settings.time_limit))


def _own(service: Service, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a function: settings the user gave win over the manifest's."""
    named = {field.name.upper() for field in fields(Settings)}
    given = {name for name in named if environment.get(name)}
    return {**environment, **{name: value for name, value in service.environment.items() if name not in given}}
