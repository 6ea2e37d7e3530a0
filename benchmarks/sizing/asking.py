"""Requests to each HTTP function behind a queue-proxy: how many a second, how quickly, and what they cost."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from benchmarks.service import MB, song
from benchmarks.sizing import behind, load, songs
from benchmarks.sizing.backbone import Backbone
from benchmarks.sizing.behind import Function
from benchmarks.sizing.load import Request
from medley import names
from tests.knative import manifests
from tests.knative.processes import running_broker

CONNECTIONS = 8  # at a time for the rate: no function's containerConcurrency is less
SMALL = MB // 6  # bytes of a song of one second
PART, MP3 = 900_000, 8_400_000  # bytes of a part by htdemucs, and of a stem of 3.5 minutes at 320 kbit/s
WAITING = 10  # songs in the queue while it is asked for

Ask = Callable[[str, int], list[Request]]  # so many requests to this URL


@dataclass(frozen=True)
class Case:
    """What is asked of which function: `alone` so many one after the other, `together` so many by all connections."""

    title: str
    function: str
    requests: Ask
    alone: int
    together: int


def measure(backbone: Backbone) -> dict[str, Any]:
    """By case: rate, latency with one connection, and what processes spent on a request, in ms of processor time."""
    with _broker(backbone):
        return {case.title: _measure(backbone, case) for case in _cases(backbone)}


@contextmanager
def _broker(backbone: Backbone) -> Iterator[None]:
    """Takes what functions announce, and wakes nobody: what is measured is one function."""
    with tempfile.TemporaryDirectory() as folder, running_broker(manifests.base(), {}, Path(folder)) as broker:
        backbone.environment["BROKER_URL"] = broker.url
        yield
    del backbone.environment["BROKER_URL"]


def _cases(backbone: Backbone) -> Iterator[Case]:
    """One after the other, since each finds what those before it left."""
    (name,) = songs.upload(backbone, song(2 * MB))
    songs.separate(backbone, name)
    songs.replace(backbone, name, "vocals.mp3", MP3)
    recipe = backbone.redis.hget(names.song_key(name), "recipe")
    songs.replace(backbone, name, f"parts/{recipe}/vocals/000003.flac", PART)
    songs.upload(backbone, *(song(SMALL) for _ in range(WAITING)))
    yield Case("queue", "queue", _gets("/apiv1/queue"), 500, 2000)
    yield Case("song", "song", _gets(f"/apiv1/songs/{name}"), 500, 2000)
    yield Case("fetch, a part of 0.9 MB", "fetch", _gets(f"/apiv1/parts/{name}/vocals/3"), 200, 800)
    yield Case("fetch, a stem of 8.4 MB", "fetch", _gets(f"/apiv1/track/{name}/vocals"), 50, 150)
    yield Case("upload, one second as WAV", "upload", _uploads, 100, 400)
    yield Case("delete", "delete", lambda url, count: _deletes(backbone, url, count), 100, 300)


def _gets(path: str) -> Ask:
    return lambda url, count: [Request("GET", url + path)] * count


def _uploads(url: str, count: int) -> list[Request]:
    headers = {"Content-Type": "audio/wav"}
    return [Request("POST", f"{url}/apiv1/separate", song(SMALL), headers) for _ in range(count)]


def _deletes(backbone: Backbone, url: str, count: int) -> list[Request]:
    """Of the newest songs that wait."""
    waiting = backbone.redis.lrange(names.TO_WORKER, -count, -1)
    return [Request("DELETE", f"{url}/apiv1/remove/{name}") for name in waiting]


def _measure(backbone: Backbone, case: Case) -> dict[str, Any]:
    with behind.running(backbone, case.function) as function:
        load.ask(case.requests(function.url, 10), 1)  # what is loaded with the first request
        alone = load.ask(case.requests(function.url, case.alone), 1)
        requests = case.requests(function.url, case.together)
        before = _spent(backbone, function)
        together = load.ask(requests, CONNECTIONS)
        spent = {name: after - before[name] for name, after in _spent(backbone, function).items()}
    return {
        "per_s": round(together.rate, 1),
        "p50_ms": round(1000 * alone.quantile(50), 2),
        "p95_ms": round(1000 * alone.quantile(95), 2),
        "cpu_ms": {name: round(1000 * seconds / together.count, 3) for name, seconds in spent.items()},
    }


def _spent(backbone: Backbone, function: Function) -> dict[str, float]:
    """Seconds of processor time so far, by process."""
    processes = {"function": function.process, "queue-proxy": function.proxy, **backbone.processes}
    return {name: process.cpu() for name, process in processes.items()}


def rows(found: dict[str, Any]) -> list[Row]:
    table = [("behind queue-proxy", "requests/s", "p50", "p95", "function", "queue-proxy", "Redis", "S3")]
    for title, one in found.items():
        cpu = one["cpu_ms"]
        times = (f"{cpu[name]:.2f} ms" for name in ("function", "queue-proxy", "redis", "s3"))
        table.append((title, f"{one['per_s']:.0f}", f"{one['p50_ms']:.1f} ms", f"{one['p95_ms']:.1f} ms", *times))
    return table
