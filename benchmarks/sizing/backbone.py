"""A Redis and an S3 server of the benchmark's own, which count what they are asked."""

import re
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.service import MODEL, Process
from medley.local import ports, servers
from medley.local.process import die_with_parent
from medley.settings import Settings, read
from medley.stores.objects import Objects

START, STOP = 30.0, 3.0  # s
METRIC = re.compile(r"^SeaweedFS_s3_(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
UNASKED = ("info", "config|resetstat")  # the benchmark's own commands


@dataclass(frozen=True)
class Counts:
    """What was asked of the stores: commands, those within scripts too; requests; bytes; processor time in s."""

    redis: Counter[str]
    s3: Counter[str]
    received: int
    sent: int
    redis_s: float
    s3_s: float

    def __sub__(self, before: "Counts") -> "Counts":
        sizes = self.received - before.received, self.sent - before.sent
        times = self.redis_s - before.redis_s, self.s3_s - before.s3_s
        return Counts(self.redis - before.redis, self.s3 - before.s3, *sizes, *times)


class Backbone:
    """Both servers, running; `environment` leads functions to them."""

    def __init__(self, stores: servers.Stores, pids: dict[str, int], metrics: int) -> None:
        self.environment = {**stores.environment(), "MODELS": MODEL, "LOG_LEVEL": "info"}
        self.redis = redis.Redis.from_url(stores.redis_url, decode_responses=True)
        self.objects = Objects(read(self.environment))
        self.processes = {name: Process(pid) for name, pid in pids.items()}
        self._metrics = f"http://127.0.0.1:{metrics}/metrics"

    def counts(self) -> Counts:
        stats = {name.removeprefix("cmdstat_"): one["calls"] for name, one in self.redis.info("commandstats").items()}
        found = self._s3()
        sizes = (found(f"bucket_traffic_{way}_bytes_total").total() for way in ("received", "sent"))
        times = self.redis_cpu(), self.processes["s3"].cpu()
        commands = Counter({name: calls for name, calls in stats.items() if name not in UNASKED})
        return Counts(commands, found("request_total"), *sizes, *times)

    def redis_cpu(self) -> float:
        """By its own clock, which is finer than the kernel's ticks of 10 ms."""
        times = self.redis.info("cpu")
        return float(times["used_cpu_user"] + times["used_cpu_sys"])

    def _s3(self) -> Callable[[str], Counter[str]]:
        """Looks up a metric's values by type of request."""
        with urllib.request.urlopen(self._metrics, timeout=10) as answer:
            lines = METRIC.findall(answer.read().decode())

        def values(metric: str) -> Counter[str]:
            found: Counter[str] = Counter()
            for name, labels, value in lines:
                kind = re.search(r'type="(\w+)"', labels)
                if name == metric:
                    found[kind[1] if kind else ""] += int(float(value))
            return found

        return values


@contextmanager
def running() -> Iterator[Backbone]:
    """Both servers with the bucket, as `medley up` starts them."""
    with tempfile.TemporaryDirectory(prefix="medley-bench-") as folder, ExitStack() as stack:
        stores = servers.choose(Path(folder), Settings())
        (metrics,) = ports.free(1)
        more = {"redis": (), "s3": (f"-metricsPort={metrics}",)}
        pids = {
            name: stack.enter_context(_process([*server.command, *more[name]]))
            for name, server in stores.servers.items()
        }
        stack.callback(servers.remove_sockets, stores.servers["s3"])
        backbone = Backbone(stores, pids, metrics)
        _until_ready(backbone)
        yield backbone


@contextmanager
def _process(command: list[str]) -> Iterator[int]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet, preexec_fn=die_with_parent)  # noqa: PLW1509 - started before any thread
    try:
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP)
        process.kill()  # seaweedfs may wait for a connection that nobody closes
        process.wait()


def _until_ready(backbone: Backbone) -> None:
    end = time.monotonic() + START
    while True:
        with suppress(Exception):
            backbone.redis.ping()
            backbone.objects.client.make_bucket(bucket_name="songs")
            return
        if time.monotonic() > end:
            raise RuntimeError("the stores are not ready")
        time.sleep(0.1)
