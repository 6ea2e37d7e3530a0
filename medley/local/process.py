"""Processes that end with this one, and are started again when they end before it."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from medley.local.log import Log
from medley.settings import Settings

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # s before a child is started again, by how often it ended in a row
STEADY = 10.0  # s after which a child counts as one that runs
MARK = "MEDLEY_UP"  # environment variable: the data folder a process belongs to
_PR_SET_PDEATHSIG = 1
_LINE = 1 << 20  # bytes

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """One process, with a process group of its own so that Ctrl-C reaches it through us only."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Log,
        take: Callable[[bytes], None],
    ) -> None:
        self.name = name
        self.pid: int | None = None
        self.starts = 0
        self.on_start: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        self._command, self._environment, self._folder = command, environment, folder
        self._log, self._take = log, take
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def stop(self, grace: float) -> None:
        """Asks the process to end, and ends it after `grace` seconds."""
        self._stopping = True
        if self._task is None:
            return
        if self.pid is None:
            self._task.cancel()
        else:
            _kill(self.pid, signal.SIGTERM)
        await asyncio.wait([self._task], timeout=grace)
        self.kill()
        await asyncio.wait([self._task])

    def kill(self) -> None:
        """Ends the process at once, if it runs."""
        if self.pid is not None:
            _kill_group(self.pid)

    async def _keep(self) -> None:
        """Runs the process, again and again until it is to stop."""
        in_a_row = 0
        while not self._stopping:
            began = asyncio.get_running_loop().time()
            try:
                ended = _ending(await self._run_once())
            except OSError as error:  # no memory, process or file was left for it
                ended = f"could not be started: {error}"
            if self._stopping:
                return
            in_a_row = 0 if asyncio.get_running_loop().time() - began > STEADY else in_a_row
            pause = PAUSES[min(in_a_row, len(PAUSES) - 1)]
            in_a_row += 1
            said = f"{self.name} {ended}; started again in {pause:g} s"
            self._log.line("error", "up", said, child=self.name)
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        """The exit status of one run. Whatever the process left behind in its group ends with it."""
        self.starts += 1
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.pid = process.pid
        lines = asyncio.create_task(_read(reading, self._take))
        self.on_start()
        try:
            return await process.wait()
        finally:
            _kill_group(process.pid)
            self.pid = None
            self.on_end()
            await lines


async def run_in_front(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Runs a process that has the terminal, to its end; its exit status. Ends it when cancelled."""
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=folder, preexec_fn=die_with_parent)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise


def inherited() -> dict[str, str]:
    """The environment this process was given, to be passed on whole; what it means is for medley/settings.py to say."""
    return dict(os.environ)


def forget_settings() -> None:
    """For tests and benchmarks: takes this process' settings away, but for where the weights are.

    Whoever typed `eval "$(medley env)"` has in them the stores of a service with songs of his own.
    """
    for name in {"MEDLEY_URL", *(field.name.upper() for field in fields(Settings))} - {"WEIGHTS_DIR"}:
        os.environ.pop(name, None)


def die_with_parent() -> None:
    """In a new process: to be killed when its parent ends, however that ends. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with(parent: int) -> None:
    """From now on this process is sent SIGTERM when its parent ends, however that ends. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it has ended before
        os.kill(os.getpid(), signal.SIGTERM)


def end_leftovers(data: Path) -> None:
    """Kills what a killed `medley up` on the same folder left: children of its children. Linux only."""
    mark = f"{MARK}={data}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and mark in (entry / "environ").read_bytes().split(b"\0"):
                _kill(int(entry.name), signal.SIGKILL)


async def _read(reading: int, take: Callable[[bytes], None]) -> None:
    """Hands over each line that comes through a pipe, until its other end is closed."""
    reader = asyncio.StreamReader(limit=_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb"))
    try:
        while line := await _line(reader):
            take(line)
    finally:
        transport.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # longer than a line should be; readline() has dropped it
        return b"(a line of more than 1 MiB)\n"


def _ending(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
