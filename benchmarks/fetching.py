"""Reading a stored file: from the function, and from the S3 server itself."""

import http.client
import socket
import time
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.service import MB, Process, Service, song

BUFFER = memoryview(bytearray(1 << 20))
SIZES = {"drums.wav": 10 * MB, "vocals.wav": 100 * MB}
LARGE = "vocals.wav"


@dataclass
class Times:
    """Throughput of each reading in MB/s, and the function's processor time for it in s."""

    s3: list[float] = field(default_factory=list)
    fetch: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(service: Service, rounds: int) -> dict[str, Any]:
    """Throughput of both, in turns, and the function's memory for a small and a large file."""
    name = _store(service)
    process, port = service.process("fetch"), service.port("fetch")
    memory = {size: _memory(process, port, f"/apiv1/track/{name}/{file}", 5) for file, size in SIZES.items()}
    times = _times(service, process, port, name, rounds)
    return {
        "s3_mb_per_s": round(median(times.s3)),
        "fetch_mb_per_s": round(median(times.fetch)),
        "ratio": round(median(times.fetch) / median(times.s3), 3),
        "fetch_cpu_s": round(median(times.cpu), 3),
        "peak_mib": {f"{size // MB} MB": round(peak, 1) for size, peak in memory.items()},
        "peak_difference_mib": round(abs(memory[10 * MB] - memory[100 * MB]), 1),
        "rounds": [[round(value) for value in pair] for pair in zip(times.s3, times.fetch, strict=True)],
    }


def _times(service: Service, process: Process, port: int, name: str, rounds: int) -> Times:
    times = Times()
    upload = service.record(name)["upload"]
    signed = service.objects.client.presigned_get_object(
        bucket_name="songs", object_name=f"{name}/{upload}/{LARGE}", expires=timedelta(hours=1)
    )
    url = urlsplit(signed)
    for _ in range(rounds):
        times.s3.append(_read(url.port or 80, f"{url.path}?{url.query}"))
        before = process.cpu()
        times.fetch.append(_read(port, f"/apiv1/track/{name}/{LARGE}"))
        times.cpu.append(process.cpu() - before)
    return times


def _store(service: Service) -> str:
    """A separated song of which two files are replaced by larger ones."""
    name = service.upload(song(MB))
    service.ended([name])
    upload = service.record(name)["upload"]
    for file, size in SIZES.items():
        service.objects.put(f"{name}/{upload}/{file}", song(size - 44), content_type="audio/wav")
    return name


def _memory(process: Process, port: int, path: str, times: int) -> float:
    """The highest peak of several readings, MiB."""
    process.begin_peak()
    for _ in range(times):
        _read(port, path)
    return process.peak()


def _read(port: int, path: str) -> float:
    """Reads a file to its end, from the request to the last byte; MB/s. The connection is its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    expected, size = int(answer.headers["Content-Length"]), 0
    while count := answer.readinto(BUFFER):
        size += count
    seconds = time.perf_counter() - start
    connection.close()
    if answer.status != 200 or size != expected:
        raise RuntimeError(f"GET {path}: {answer.status}, {size} of {expected} bytes")
    return size / seconds / MB


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured, how much it is, and what it is to be."""
    peaks = " / ".join(f"{value:.1f}" for value in found["peak_mib"].values())
    return [
        ("S3 server, 100 MB", f"{found['s3_mb_per_s']} MB/s", ""),
        ("fetch, 100 MB", f"{found['fetch_mb_per_s']} MB/s", ""),
        ("fetch / S3 server", f"{found['ratio']:.2f}", "at least 0.5, aim 0.7"),
        ("fetch, processor time for 100 MB", f"{found['fetch_cpu_s'] * 1000:.0f} ms", ""),
        ("fetch, peak memory, 10 / 100 MB", f"{peaks} MiB", "within 16 MiB"),
    ]
