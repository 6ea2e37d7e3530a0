"""`medley up` as a process of its own, for tests and benchmarks: started, looked at, stopped or killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from medley.local import folder, process
from medley.local.folder import Trouble

START = 180.0  # s
STOP = 60.0  # s
AGAIN = 0.05  # s between two looks at run.json


class Local:
    """One `medley up`. As a context manager it is ready inside and ended after."""

    def __init__(
        self,
        data: Path,
        port: int = 0,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        models: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.data = data
        self._environment = {**process.inherited(), **(environment or {})}
        self._command = [sys.executable, "-m", "medley", "up", "--data", str(data)]
        self._command += ["--port", str(port), "--workers", str(workers), "--parent", str(os.getpid()), *options]
        self._command += [word for model in models for word in ("--model", model)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until it is ready; what it prints goes to output.txt in its folder. Raises Trouble.

        On Linux it has a session of its own: Ctrl-C reaches it through us only; a second signal would end it at once.
        It ends with the thread that calls this.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            output_file = (self.data / "output.txt").open("wb")
        except OSError as error:
            raise Trouble(
                f"{self.data} cannot be written: {error.strerror}. Choose another folder with --data."
            ) from error
        with output_file as output:
            apart = sys.platform == "linux"  # elsewhere nothing ends it with us, if the terminal does not
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, env=self._environment, start_new_session=apart
            )
        try:
            self.wait(lambda about: about["ready"] and about["pid"] == self._pid, START)
        except Trouble:
            self.kill()
            raise
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> int:
        """Ends it as Ctrl-C would; its exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Ends it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def about(self) -> dict[str, Any]:
        """What run.json says now. Raises Trouble."""
        return folder.read_run(self.data)

    @property
    def url(self) -> str:
        """The gateway's address."""
        return str(self.about()["gateway"])

    def pid(self, name: str, number: int = 0) -> int:
        """The process of a function or a server (`redis`, `s3`); it leads a group with its children."""
        about = self.about()
        found = about["servers"].get(name) or about["functions"][name][number]
        return int(found["pid"])

    def signal(self, name: str, number: signal.Signals, instance: int = 0) -> None:
        """Sends a signal to the whole process group of a function or a server, e.g. SIGKILL, SIGSTOP, SIGCONT."""
        os.killpg(self.pid(name, instance), number)

    def wait(self, until: Callable[[dict[str, Any]], bool], limit: float = 30.0) -> dict[str, Any]:
        """run.json, as soon as it fulfils a condition. Raises Trouble after `limit` seconds or when it ended."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                raise Trouble(f"`medley up` ended: {self.output()[-2000:]}")
            try:
                about = self.about()
                if until(about):
                    return about
            except Trouble:
                pass
            time.sleep(AGAIN)
        raise Trouble(f"`medley up` is not as it should be after {limit:g} s: {self.output()[-2000:]}")

    def output(self) -> str:
        """What it printed."""
        return (self.data / "output.txt").read_text(errors="replace")

    @property
    def _pid(self) -> int:
        return self._process.pid if self._process else 0
