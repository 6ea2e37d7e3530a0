"""On a cluster: functions that start from zero, events and songs that wake them, as a client sees it."""

import io
import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from benchmarks.report import Row
from benchmarks.service import song
from benchmarks.sizing.songs import CLOUD_EVENT, event
from medley import names
from tests.e2e.harness import Called, listening
from tests.knative.on_cluster.deployed import (
    DOMAIN,
    HOST,
    INSIDE,
    OUTSIDE,
    Deployed,
    address,
    asleep,
    is_outside,
    request,
)
from tests.knative.on_cluster.kubectl import NAMESPACE
from tests.knative.world import post

WARM, EVENTS = 50, 50
SECONDS = 12  # of the song
PATIENCE = 180.0  # s
Found = dict[str, Any]


def measure(rounds: int) -> Found:
    """Medians: cold starts in s, warm answers and events in ms, a song's way in s."""
    medley = Deployed()
    colds: dict[str, list[float]] = {name: [] for name in names.FUNCTIONS}
    warm: dict[str, Found] = {}
    events, ways = [], []
    for _ in range(rounds):
        for name in names.FUNCTIONS:
            asleep(name, PATIENCE)
        ways.append(_song(medley))
        for name in names.FUNCTIONS:
            asleep(name, PATIENCE)
            _door(name)  # before the clock starts
            colds[name].append(_call(name))
            warm[name] = _quantiles([_call(name) for _ in range(WARM)])
        asleep("logsink", PATIENCE)
        events.append(_event(medley))
    return {
        "cold_s": {name: {"median": round(statistics.median(times), 2), "all": times} for name, times in colds.items()},
        "warm_ms": warm,
        "event_cold_s": round(statistics.median(events), 2),
        "event_warm_ms": _quantiles([_event(medley) for _ in range(EVENTS)]),
        "song_s": {step: round(statistics.median(way[step] for way in ways), 2) for step in ways[0]},
    }


def _call(function: str) -> float:
    """Seconds until its client has the answer. Raises RuntimeError if that is not 200."""
    ingress, host = _door(function)
    start = time.perf_counter()
    status, body = request(f"http://{ingress}/", Host=host)
    if status != 200:
        raise RuntimeError(f"{function}: {status} {body[:300]!r}")
    return round(time.perf_counter() - start, 4)


@cache
def _door(function: str) -> tuple[str, str]:
    """The ingress for those outside, or for those inside where no other may come; and the function's name there."""
    if is_outside(function):
        return OUTSIDE, f"{function}.{NAMESPACE}.{DOMAIN}"
    return INSIDE, f"{function}.{NAMESPACE}.svc.cluster.local"


def _quantiles(times: list[float]) -> Found:
    return {
        "p50": round(1000 * statistics.median(times), 1),
        "p95": round(1000 * statistics.quantiles(times, n=20)[18], 1),
    }


def _event(medley: Deployed) -> float:
    """Seconds from the POST of an event to the Broker until its line stands in Redis."""
    data = {"host": "benchmark", "function": "upload", "level": "info", "message": event_mark()}
    redis, url = medley.redis, f"http://{address('broker-ingress', 'knative-eventing')}/{NAMESPACE}/default"
    start = time.perf_counter()
    post(url, event(names.LOG_WRITTEN, data), CLOUD_EVENT)
    _until(lambda: any(data["message"] in line for line in redis.lrange(names.LOGGING, -50, -1)), 0.001)
    return round(time.perf_counter() - start, 4)


def event_mark() -> str:
    """A text that no other line has."""
    return f"measured {time.time_ns()}"


def _song(medley: Deployed) -> Found:
    """Seconds from the start of a song's upload until each step, `separate` being at zero before."""
    audio = io.BytesIO(song(SECONDS * 176_400))
    client = medley.client
    with listening(HOST) as called:
        begin = time.time()
        name = client.separate(audio, callback=called.url).hash
        accepted = time.time()
        _until(lambda: _ended(called), 0.01)
        end = time.time()
    record = medley.record(name)
    client.remove(name)
    steps = {
        "accepted": accepted,
        "claimed": float(record["started"]),
        "separated": float(record["finished"]),
        "called": end,
    }
    return {step: round(at - begin, 2) for step, at in steps.items()}


def _ended(called: Called) -> bool:
    return bool(called.bodies)


def _until(holds: Callable[[], bool], pause: float) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("it did not happen in time")
        time.sleep(pause)


def rows(found: Found) -> list[Row]:
    table: list[Row] = [("on the cluster", "from zero", "warm p50", "warm p95")]
    for name, cold in found["cold_s"].items():
        warm = found["warm_ms"][name]
        table.append((name, f"{cold['median']:.2f} s", f"{warm['p50']:.0f} ms", f"{warm['p95']:.0f} ms"))
    warm = found["event_warm_ms"]
    table.append(
        (
            "an event, from its POST to Redis",
            f"{found['event_cold_s']:.2f} s",
            f"{warm['p50']:.0f} ms",
            f"{warm['p95']:.0f} ms",
        )
    )
    return [*table, *((f"a song of {SECONDS} s, until {step}", f"{at:.2f} s") for step, at in found["song_s"].items())]
