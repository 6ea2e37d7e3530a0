"""Uploads in each of their three forms: how much memory they take."""

import base64
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks import starting
from benchmarks.service import MB, MIB, Service, song

SIZES = (10 * MB, 50 * MB)
BOUNDARY = "medley-benchmark"
Form = Callable[[bytes], tuple[bytes, str]]
Once = tuple[float, float, float]  # peak above idle in MiB, the same in times the body, seconds


def _raw(audio: bytes) -> tuple[bytes, str]:
    return audio, "audio/wav"


def _multipart(audio: bytes) -> tuple[bytes, str]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="song.wav"\r\n\r\n'
    return b"".join(
        (head.encode(), audio, f"\r\n--{BOUNDARY}--\r\n".encode())
    ), f"multipart/form-data; boundary={BOUNDARY}"


def _json(audio: bytes) -> tuple[bytes, str]:
    return json.dumps({"mp3": base64.b64encode(audio).decode()}).encode(), "application/json"


FORMS: dict[str, Form] = {"raw": _raw, "multipart": _multipart, "json": _json}


def measure(service: Service, rounds: int) -> dict[str, Any]:
    """For each form and size: the peak above what was resident before, and seconds; medians of rounds in turns."""
    found: dict[str, dict[int, list[Once]]] = {form: {size: [] for size in SIZES} for form in FORMS}
    for _ in range(rounds):
        for size in SIZES:
            for form, shape in FORMS.items():
                found[form][size].append(_once(service, *shape(song(size))))
    return {form: {f"{size // MB} MB": _medians(found[form][size]) for size in SIZES} for form in FORMS}


def _once(service: Service, body: bytes, content_type: str) -> Once:
    """One upload to a process of its own, which has taken a small one before. The song is removed again at once."""
    with starting.started(service, "upload") as (port, process, _):
        service.remove(service.upload(song(MB // 10), port=port))
        idle = process.begin_peak()
        start = time.perf_counter()
        name = service.upload(body, content_type, port)
        seconds = time.perf_counter() - start
        above = process.peak() - idle
        service.remove(name)
    return above, above * MIB / len(body), seconds


def _medians(values: list[Once]) -> dict[str, float]:
    above, times, seconds = zip(*values, strict=True)
    return {
        "peak_above_idle_mib": round(median(above), 1),
        "times_body": round(max(times), 2),
        "seconds": round(median(seconds), 2),
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured, how much it is, and what it is to be."""
    lines = []
    for form, sizes in found.items():
        small, large = sizes.values()
        peaks = f"{small['peak_above_idle_mib']:.1f} / {large['peak_above_idle_mib']:.1f} MiB"
        target = "at most 3 x the body" if form == "json" else "flat"
        lines.append((f"upload, {form}, peak above idle, 10 / 50 MB", peaks, target))
        lines.append(
            (f"upload, {form}, 50 MB: peak / body; time", f"{large['times_body']:.2f}; {large['seconds']:.2f} s", "")
        )
    return lines
