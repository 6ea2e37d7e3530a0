"""The world of `medley up`: medley/local's Broker and revisions."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from medley.local import manifests
from medley.local.broker import Broker
from medley.local.revision import Instance, Revision, client
from medley.local.serving import serve
from tests.knative.local import HOST, Door, LocalMedley, address, service
from tests.knative.place import Running, Setting
from tests.local.harness import Lines
from tests.manifests.rendering import Document

PATH = "/default/default"


class Rehearsal:
    name = "rehearsal"
    address = HOST

    @contextmanager
    def broker(self, documents: Sequence[Document], addresses: Mapping[str, str]) -> Iterator[str]:
        thread = _Loop(list(documents), addresses)
        thread.start()
        try:
            yield f"http://{HOST}:{thread.port()}{PATH}"
        finally:
            thread.end()

    @contextmanager
    def medley(self, setting: Setting) -> Iterator[Running]:
        door = Door(PATH)
        with tempfile.TemporaryDirectory() as folder, service(Path(folder) / "data", setting, door) as running:
            door.open(running.local.about()["broker_url"])
            try:
                yield LocalMedley(running, door, address(running, "sweep"))
            finally:
                door.shut()


class _Loop(threading.Thread):
    """A thread with a Broker in it."""

    def __init__(self, documents: list[Document], addresses: Mapping[str, str]) -> None:
        super().__init__(daemon=True)
        self._manifests, self._addresses = manifests.read(documents), addresses
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._ready = threading.Event()
        self._port = 0

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def port(self) -> int:
        self._ready.wait()
        return self._port

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join()

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(client())
            revisions = {
                name: Revision(self._manifests.services[name], [Instance(address)], session)
                for name, address in self._addresses.items()
            }
            broker = Broker(PATH, self._manifests.triggers, revisions, Lines())
            runner, self._port = await serve(broker.handle, 0)
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(broker.close)
            self._ready.set()
            await self._end.wait()
