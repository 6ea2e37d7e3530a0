"""What follows from what was measured: songs an hour that one Redis, one S3 server and one Broker carry."""

from typing import Any

from benchmarks.report import Row
from benchmarks.service import MB, RATE
from functions.separate.grid import Grid

SECONDS = 210  # of a usual song
SEGMENT = 7.8  # s, of htdemucs
POLLS = 60  # looks of a client at its song: every 3 s, for 3 minutes
HOUR_MS = 3_600_000
DOWNLOAD = "fetch, a stem of 8.4 MB"
Found = dict[str, Any]


def parts(seconds: float, step: float) -> int:
    """Of each stem."""
    return Grid(round(seconds * RATE), round(SEGMENT * RATE), round(step * RATE)).count


def song(found: Found, seconds: float = SECONDS) -> Found:
    """What a song takes from its upload over separation, polling and one download of each stem to its removal.

    Commands, requests, events, bytes that are stored; ms of processor time of Redis, S3 and Broker.
    """
    count = parts(seconds, found["storage"]["step_s"])
    steps = found["counts"].values()
    asked = {
        what: sum(step[what]["song"] + step[what]["part"] * count for step in steps)
        for what in ("redis", "s3", "events", "redis_cpu_ms")
    }
    stored = {kind: rate * seconds / MB for kind, rate in found["storage"]["bytes_a_second"].items()}
    read = stored["original"] + stored["MP3 files"]  # by the worker, and by the client
    times = {
        "redis_ms": asked["redis_cpu_ms"] + POLLS * found["requests"]["song"]["cpu_ms"]["redis"],
        "s3_ms": sum(stored.values()) * written(found) + read * found["requests"][DOWNLOAD]["cpu_ms"]["s3"] / 8.4,
        "broker_ms": asked["events"] * found["events"]["cpu_ms"]["broker"],
    }
    sizes = {"parts": count, "redis": asked["redis"] + POLLS, "s3": asked["s3"], "events": asked["events"]}
    return {**sizes, "stored_mb": sum(stored.values()), **times}


def written(found: Found) -> float:
    """ms of S3's processor time for a MB of parts."""
    separate = found["counts"]["separate"]
    return float(separate["s3_cpu_ms"]["part"] / separate["received"]["part"] * MB)


def rows(found: Found) -> list[Row]:
    one = song(found)
    stores = {"Redis": ("redis", "commands"), "S3": ("s3", "requests"), "Broker": ("events", "events")}
    table: list[Row] = [(f"a song of {SECONDS / 60:g} min", "asked", "processor time", "songs an hour by one core")]
    for name, (what, unit) in stores.items():
        time = one[f"{name.lower()}_ms"]
        table.append((name, f"{one[what]:.0f} {unit}", f"{time:.0f} ms", f"{HOUR_MS / time:.0f}"))
    return [*table, ("stored", f"{one['stored_mb']:.0f} MB"), ("S3 takes for a MB", f"{written(found):.1f} ms")]
