"""Events through Knative's Broker to `logsink`: how many a second, how quickly, and what they cost."""

import json
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from benchmarks.service import Process
from benchmarks.sizing import behind, load, songs
from benchmarks.sizing.backbone import Backbone
from benchmarks.sizing.load import Request
from medley import names
from tests.knative import manifests
from tests.knative.processes import running_broker
from tests.manifests.rendering import ROOT

ALONE, TOGETHER = 200, 3000  # events, one after the other and as quickly as the Broker takes them
CONNECTIONS = 8
BATCH = 150  # events, of which two may be under way: queue-proxy holds 10 x containerConcurrency, 400
WAITING = 1000  # events
UNHEARD = "127.0.0.1:9"  # where the other Triggers' functions would be: their filters let none of these events through


def measure(backbone: Backbone) -> dict[str, Any]:
    """Rates a second; ms from the POST until Redis has the line; ms of processor time of each process for an event."""
    with behind.running(backbone, "logsink") as function, tempfile.TemporaryDirectory() as folder:
        services = {"separate": UNHEARD, "callback": UNHEARD, "logsink": f"127.0.0.1:{function.port}"}
        with running_broker(manifests.base(), services, Path(folder)) as broker:
            times = [_alone(backbone, broker.url) for _ in range(ALONE)]
            processes = {"broker": Process(broker.pid), "function": function.process, "queue-proxy": function.proxy}
            processes |= backbone.processes
            before = {name: process.cpu() for name, process in processes.items()}
            accepted, delivered = _together(backbone, broker.url)
            spent = {name: process.cpu() - before[name] for name, process in processes.items()}
    return {
        "accepted_per_s": round(accepted),
        "delivered_per_s": round(delivered),
        "p50_ms": round(1000 * statistics.median(times), 2),
        "p95_ms": round(1000 * statistics.quantiles(times, n=20)[18], 2),
        "cpu_ms": {name: round(1000 * seconds / TOGETHER, 3) for name, seconds in spent.items()},
        "bytes": _sizes(),
        "waiting_kib": _waiting(),
    }


def _alone(backbone: Backbone, url: str) -> float:
    """Seconds from the POST of an event until its line stands in Redis."""
    before = backbone.redis.llen(names.LOGGING)
    start = time.perf_counter()
    load.ask([_line(url)], 1)
    while backbone.redis.llen(names.LOGGING) == before:
        time.sleep(0.0005)
    return time.perf_counter() - start


def _together(backbone: Backbone, url: str) -> tuple[float, float]:
    """Events a second that the Broker took, and that Redis had in the end.

    No more are under way than queue-proxy lets wait: what is beyond comes again by the Trigger's retries.
    """
    before, start, taking = backbone.redis.llen(names.LOGGING), time.perf_counter(), 0.0
    for sent in range(BATCH, TOGETHER + 1, BATCH):
        taking += load.ask([_line(url)] * BATCH, CONNECTIONS).seconds
        while backbone.redis.llen(names.LOGGING) < before + sent - BATCH * (sent < TOGETHER):
            time.sleep(0.005)
    return TOGETHER / taking, TOGETHER / (time.perf_counter() - start)


def _waiting() -> float:
    """KiB of the Broker's memory for an event that waits for its function to answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * WAITING) as deaf, tempfile.TemporaryDirectory() as folder:
        services = {"separate": UNHEARD, "callback": UNHEARD, "logsink": f"127.0.0.1:{deaf.getsockname()[1]}"}
        with running_broker(manifests.base(), services, Path(folder)) as broker:
            process = Process(broker.pid)
            load.ask([_line(broker.url)] * CONNECTIONS, CONNECTIONS)
            before = process.begin_peak()
            load.ask([_line(broker.url)] * WAITING, CONNECTIONS)
            time.sleep(2)  # until all have reached the function
            return round((process.peak() - before) * 1024 / WAITING, 1)


def _line(url: str) -> Request:
    data = {"host": "upload-00001", "function": "upload", "level": "info", "message": "song accepted"}
    said = {**data, "fields": {"hash": "0" * 64, "bytes": 8_400_000, "seconds": 210.0}}
    return Request("POST", url, songs.event(names.LOG_WRITTEN, said), songs.CLOUD_EVENT)


def _sizes() -> dict[str, int]:
    """Bytes of the contract's example of each type."""
    examples = ((event_type, ROOT / "contract" / "examples" / f"{event_type}.json") for event_type in names.EVENTS)
    return {event_type: len(json.dumps(json.loads(file.read_text()))) for event_type, file in examples}


def rows(found: dict[str, Any]) -> list[Row]:
    cpu = ", ".join(f"{name} {value:.2f}" for name, value in found["cpu_ms"].items() if name != "s3")
    return [
        ("events a second that the Broker takes", f"{found['accepted_per_s']}"),
        ("events a second that logsink has written down", f"{found['delivered_per_s']}"),
        (
            "from the POST of an event to its line in Redis, p50 / p95",
            f"{found['p50_ms']:.1f} / {found['p95_ms']:.1f} ms",
        ),
        ("processor time of an event, ms", cpu),
        ("the Broker's memory for an event that waits", f"{found['waiting_kib']:.0f} KiB"),
        ("size of an event", f"{min(found['bytes'].values())} to {max(found['bytes'].values())} bytes"),
    ]
