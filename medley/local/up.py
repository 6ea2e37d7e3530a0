"""`medley up`: stores, functions, Broker, clock and gateway of one machine, started, watched and ended together."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from medley.local import clock, folder, manifests, ports, process, servers
from medley.local.broker import Broker
from medley.local.filters import BadManifest
from medley.local.folder import Trouble
from medley.local.functions import Functions
from medley.local.gateway import Gateway
from medley.local.log import Forward, LogFile
from medley.local.revision import client
from medley.local.serving import HOST, Handle, PortInUse, serve
from medley.models import UNTRAINED
from medley.settings import BadSettings, Settings, read

ROOT = Path(__file__).resolve().parent.parent.parent
MANIFESTS = ROOT / "knative" / "base"
NAMESPACE = "default"
GRACE = 30.0  # s for functions to end what they are at: a segment, a callback
GRACE_SERVERS = 3.0  # s; what they took stands in their files by then


@dataclass(frozen=True)
class Options:
    """What `medley up` was asked for. Ports of 0 are any that are free; `ping_seconds` 0: the manifest's schedule.

    `parent` is the process that it ends with, 0 if it does with none.
    """

    data: Path
    port: int = 5000
    workers: int = 1
    models: tuple[str, ...] = ()
    ping_seconds: float = 0.0
    broker_port: int = 0
    parent: int = 0


def run(options: Options, environment: Mapping[str, str]) -> None:
    """Runs until SIGINT, SIGTERM, or SIGHUP of a terminal that is closed. Raises Trouble."""
    options = replace(options, data=options.data.expanduser().absolute())
    try:
        settings = read({**environment, **_models(options)})
        read_manifests = manifests.load(MANIFESTS)
        for ping in read_manifests.pings:
            clock.minutes(ping)
        with folder.take(options.data):
            process.end_leftovers(options.data)
            asyncio.run(_Up(options, dict(environment), settings, read_manifests).run())
    except (BadSettings, BadManifest, PortInUse) as error:
        hint = " Choose another with --port." if isinstance(error, PortInUse) else ""
        raise Trouble(f"{error}.{hint}") from error


def _models(options: Options) -> dict[str, str]:
    return {"MODELS": ",".join(options.models)} if options.models else {}


class _Up:
    """One run."""

    def __init__(
        self, options: Options, environment: dict[str, str], settings: Settings, read_manifests: manifests.Manifests
    ) -> None:
        self.options, self.settings = options, settings
        self.environment = {**environment, process.MARK: str(options.data)}
        self.manifests = read_manifests
        self.log = LogFile(options.data / folder.LOG)
        self.about: dict[str, Any] = {"pid": os.getpid(), "ready": False, "servers": {}, "functions": {}}
        self.servers: list[process.Child] = []
        self.functions: Functions | None = None

    async def run(self) -> None:
        """Everything, from the first check to the last child's end."""
        logging.getLogger().addHandler(Forward(self.log))
        work = asyncio.create_task(self._work())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # which it is with nohup
                loop.add_signal_handler(number, self._stop, work, number)
        if self.options.parent:
            process.end_with(self.options.parent)
        with contextlib.suppress(asyncio.CancelledError):
            await work

    def _stop(self, work: asyncio.Task[None], number: signal.Signals) -> None:
        """The first signal ends in order, a second one at once; but SIGHUP comes from the shell and from the kernel."""
        if not work.cancelling():
            work.cancel()
            return
        if number == signal.SIGHUP:
            return
        if self.functions:
            self.functions.kill()
        for child in self.servers:
            child.kill()

    async def _work(self) -> None:
        """Starts everything, each part after what it needs; the stack ends it in the opposite order."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._forget)
            if not ports.is_free(self.options.port):
                raise PortInUse(f"port {self.options.port} is in use")
            await self._weights()
            stores = await stack.enter_async_context(self._stores())
            session = await stack.enter_async_context(client())
            functions = Functions(self.manifests, self.options.workers, self.settings, session, self.log)
            self.functions = functions
            broker_url = await stack.enter_async_context(self._broker(functions))
            await stack.enter_async_context(self._processes(functions, stores, broker_url))
            await stack.enter_async_context(self._gateway(functions))
            await servers.ready(stores)
            functions.stores_ready.set()
            await functions.ready()
            await stack.enter_async_context(self._clock(functions))
            self._say_ready()
            await asyncio.Event().wait()

    async def _weights(self) -> None:
        """Gets what the models need and is not there yet."""
        wanted = [model for model in self.settings.models if model != UNTRAINED]
        if wanted and await weights(wanted, self.environment) != 0:
            raise Trouble("the weights are missing; the lines above say why.")

    @contextlib.asynccontextmanager
    async def _stores(self) -> AsyncIterator[servers.Stores]:
        stores = servers.choose(self.options.data, self.settings)
        self.about |= {name.lower(): value for name, value in stores.environment().items()}
        for name, server in stores.servers.items():
            data, take = self.options.data, self.log.of(name, "debug")
            child = process.Child(name, server.command, self.environment, data, self.log, take)
            self.servers.append(child)
            child.on_start = child.on_end = functools.partial(self._server_changed, name, child, server.ports[0])
            child.start()
        try:
            yield stores
        finally:
            await asyncio.gather(*(child.stop(GRACE_SERVERS) for child in self.servers))
            for server in stores.servers.values():
                servers.remove_sockets(server)

    @contextlib.asynccontextmanager
    async def _broker(self, functions: Functions) -> AsyncIterator[str]:
        """The Broker; its address, for functions to announce to."""
        path = f"/{NAMESPACE}/{self.manifests.broker}"
        broker = Broker(path, self.manifests.triggers, functions.revisions, self.log)
        async with self._serving(broker.handle, self.options.broker_port) as port:
            self.about["broker_url"] = f"http://{HOST}:{port}{path}"
            try:
                yield self.about["broker_url"]
            finally:
                await broker.close()

    @contextlib.asynccontextmanager
    async def _processes(self, functions: Functions, stores: servers.Stores, broker_url: str) -> AsyncIterator[None]:
        """The functions' processes. They end while Broker and stores are still there, for what they have to say."""
        values = {**self.environment, **stores.environment(), **_models(self.options), "HOST": HOST}
        values |= {"MAX_WORKERS": str(self.options.workers), "BROKER_URL": self.settings.broker_url or broker_url}
        values |= {"CALLBACK_ALLOW": ",".join(self.settings.callback_allow) or "any"}
        if self.settings.broker_url:
            self.log.line("info", "up", f"BROKER_URL is set: functions announce to it, not to {broker_url}")
        functions.start(values, ROOT, self._functions_changed)
        try:
            yield
        finally:
            await functions.stop(GRACE)

    @contextlib.asynccontextmanager
    async def _gateway(self, functions: Functions) -> AsyncIterator[None]:
        async with self._serving(Gateway(functions.revisions, self.log).handle, self.options.port) as port:
            self.about |= {"port": port, "gateway": f"http://localhost:{port}"}
            yield

    @contextlib.asynccontextmanager
    async def _clock(self, functions: Functions) -> AsyncIterator[None]:
        every = self.options.ping_seconds
        ticking = [
            clock.run(ping, functions.revisions[ping.sink.service], self.log, every) for ping in self.manifests.pings
        ]
        tasks = [asyncio.create_task(one) for one in ticking]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _serving(self, handle: Handle, port: int) -> AsyncIterator[int]:
        runner, bound = await serve(handle, port)
        try:
            yield bound
        finally:
            await runner.cleanup()

    def _server_changed(self, name: str, child: process.Child, port: int) -> None:
        self.about["servers"][name] = {"pid": child.pid, "port": port, "starts": child.starts}
        self._note()

    def _functions_changed(self) -> None:
        if self.functions:
            self.about["functions"] = self.functions.about()
        self._note()

    def _say_ready(self) -> None:
        self.about["ready"] = True
        self._note()
        click.echo(f"medley is ready: {self.about['gateway']}  (data in {self.options.data}; Ctrl-C ends it)")

    def _note(self) -> None:
        try:
            folder.write_run(self.options.data, self.about)
        except OSError as error:
            self.log.line("error", "up", f"run.json cannot be written: {error.strerror}")

    def _forget(self) -> None:
        folder.forget_run(self.options.data)
        self.log.close()


async def weights(models: list[str], environment: Mapping[str, str]) -> int:
    """Gets the weights of models, in a process of its own because it needs torch; its exit status."""
    command = [sys.executable, "-m", "functions.separate.weights", *models]
    return await process.run_in_front(command, environment, ROOT)
