"""A running service as the benchmarks see it: its stores, its functions' addresses, and the processes behind them."""

import http.client
import io
import json
import math
import os
import random
import threading
import time
import uuid
import wave
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import redis

from medley.local.running import Local
from medley.settings import read
from medley.stores.objects import Objects

MODEL = "demucs_unittest"
RATE = 44100  # Hz
MB = 1_000_000
MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Service:
    """One `medley up` with one worker."""

    def __init__(self, local: Local, models: Sequence[str]) -> None:
        about = local.about()
        self.about = about
        self.environment = {name: str(about[name.lower()]) for name in ("REDIS_URL", "S3_ENDPOINT")}
        self.environment |= {
            name: str(about[name.lower()]) for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY", "BROKER_URL")
        }
        self.environment["MODELS"] = ",".join(models)
        self.objects = Objects(read(self.environment))
        self.redis = redis.Redis.from_url(about["redis_url"], decode_responses=True)

    def port(self, function: str) -> int:
        return int(self.about["functions"][function][0]["port"])

    def process(self, function: str) -> "Process":
        """The process that answers."""
        return worker(int(self.about["functions"][function][0]["pid"]))

    def upload(self, body: bytes, content_type: str = "audio/wav", port: int = 0, **options: object) -> str:
        """The hash of a song that was accepted; `port` of another process than the service's own."""
        path = f"/apiv1/separate?{urlencode(options)}" if options else "/apiv1/separate"
        return str(ask(port or self.port("upload"), "POST", path, body, content_type)["hash"])

    def remove(self, song: str) -> None:
        ask(self.port("delete"), "DELETE", f"/apiv1/remove/{song}")

    def record(self, song: str) -> dict[str, str]:
        return dict(self.redis.hgetall(f"song:{song}"))

    def ended(self, songs: list[str], limit: float = 120.0) -> None:
        """Waits for songs to be separated."""
        end = time.monotonic() + limit
        for song in songs:
            while (record := self.record(song))["status"] != "succeeded":
                if record["status"] == "failed" or time.monotonic() > end:
                    raise RuntimeError(f"{song} is {record['status']}: {record.get('error')}")
                time.sleep(0.05)


class Process:
    """What the kernel says about a process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._counts = True

    def begin_peak(self) -> float:
        """Peak memory is counted anew from here; what is resident now, MiB."""
        try:
            (self._folder / "clear_refs").write_text("5")
        except OSError:  # the kernels of some sandboxes do not count it
            self._counts = False
        return self.resident()

    def resident(self) -> float:
        """MiB."""
        return int((self._folder / "statm").read_text().split()[1]) * PAGE / MIB

    def peak(self) -> float:
        """The most that was resident since, MiB; no number where that is not known."""
        status = (self._folder / "status").read_text()
        lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(lines[0].split()[1]) / 1024 if lines and self._counts else math.nan

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def worker(parent: int) -> Process:
    """gunicorn's worker, the child of the process that was started."""
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return Process(int(child))


@contextmanager
def running(models: Sequence[str] = (MODEL,), **environment: str) -> Iterator[Service]:
    """By default with the tiny model, which needs no weights."""
    with TemporaryDirectory(prefix="medley-bench-") as folder:
        local = Local(Path(folder) / "data", models=models, environment=environment)
        with local:
            yield Service(local, models)


@contextmanager
def asleep(models: Sequence[str], **environment: str) -> Iterator[Service]:
    """A service of which no event wakes anything: songs wait for a process that is started beside it."""
    with _sink() as url, running(models, BROKER_URL=url, **environment) as service:
        yield service


@contextmanager
def _sink() -> Iterator[str]:
    """What takes every event and does nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def ask(port: int, method: str, path: str, body: bytes | None = None, content_type: str = "") -> dict[str, Any]:
    """A JSON answer, which must be a 2xx."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request(method, path, body, {"Content-Type": content_type} if content_type else {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
    return dict(json.loads(data)) if data else {}


def song(size: int) -> bytes:
    """A WAV file of about `size` bytes, which is like no other: noise, repeated, with a mark of its own."""
    second = array("h", (random.randint(-9000, 9000) for _ in range(2 * RATE))).tobytes()
    mark = uuid.uuid4().bytes
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, RATE, 0, "NONE", ""))
        frames = (second * (size // len(second) + 1))[: size // 4 * 4]
        out.writeframes(mark + frames[len(mark) :])
    return file.getvalue()
