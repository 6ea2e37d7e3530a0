"""What one song asks of Redis, S3 and the Broker, counted: a part for each song, and a part for each of its parts."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.report import Row
from benchmarks.service import RATE, ask, song
from benchmarks.sizing import load, songs
from benchmarks.sizing.backbone import Backbone, Counts
from medley import names
from medley.models import MODELS
from tests.knative.subscriber import Answer, Subscriber, listening

SHORT, LONG = 15, 45  # s of two songs, between which the difference is the parts'
STEMS = MODELS["demucs_unittest"].stems
Found = dict[str, Any]


def measure(backbone: Backbone) -> Found:
    """By step of a song's way: what it asked for itself, and for each part of the song (four stems' worth)."""
    with _broker(backbone) as broker:
        short, long = (_song(backbone, broker, seconds) for seconds in (SHORT, LONG))
    return {step: _split(short[step], long[step], short["parts"], long["parts"]) for step in short if step != "parts"}


@contextmanager
def _broker(backbone: Backbone) -> Iterator[Subscriber]:
    """Takes all events and counts them."""
    with listening(broker := Subscriber(Answer(202)), "127.0.0.1") as url:
        backbone.environment["BROKER_URL"] = url
        yield broker
    del backbone.environment["BROKER_URL"]


def _song(backbone: Backbone, broker: Subscriber, seconds: int) -> Found:
    """What each step of a song's life took."""
    counted = _counter(backbone, broker)
    (name,) = songs.upload(backbone, song(seconds * RATE * 4))
    found = {"upload": counted()}
    songs.separate(backbone, name)
    found["separate"] = counted()
    found["parts"] = int(backbone.redis.hget(names.song_key(name), "parts"))
    found["separate"]["record_bytes"] = backbone.redis.memory_usage(names.song_key(name), samples=0)
    counted()
    _read(backbone, name)
    found["fetch of four stems"] = counted()
    with songs.function(backbone, "delete") as port:
        ask(port, "DELETE", f"/apiv1/remove/{name}")
    found["delete"] = counted()
    return found


def _read(backbone: Backbone, name: str) -> None:
    with songs.function(backbone, "fetch") as port:
        load.ask([load.Request("GET", f"http://127.0.0.1:{port}/apiv1/track/{name}/{stem}") for stem in STEMS], 1)


def _counter(backbone: Backbone, broker: Subscriber) -> Callable[[], Found]:
    """Each call tells what was asked for since the last one."""
    before, heard = backbone.counts(), len(broker.got)

    def counted() -> Found:
        nonlocal before, heard
        now, events = backbone.counts(), Counter(one.json["type"] for one in broker.got[heard:])
        since: Counts = now - before
        before, heard = now, heard + events.total()
        return {
            "redis": _without_starts(since.redis),
            "s3": since.s3.total(),
            "events": events.total(),
            "received": since.received,
            "sent": since.sent,
            "redis_cpu_ms": 1000 * since.redis_s,
            "s3_cpu_ms": 1000 * since.s3_s,
        }

    return counted


def _without_starts(commands: Counter[str]) -> int:
    """Commands but for those by which a process begins, whatever it does then."""
    starts = ("hello", "client|setinfo", "ping", "script|load", "memory|usage")
    return sum(calls for name, calls in commands.items() if name not in starts)


def _split(short: Found, long: Found, fewer: int, more: int) -> Found:
    """The line through two songs: `song` + `part` times the number of parts."""
    slopes = {what: (long[what] - short[what]) / (more - fewer) for what in short}
    return {
        what: {"song": round(short[what] - slope * fewer, 3), "part": round(slope, 3)} for what, slope in slopes.items()
    }


def rows(found: Found) -> list[Row]:
    table: list[Row] = [("a song's", "Redis commands", "S3 requests", "events")]
    for step, one in found.items():
        texts = (_text(one[what]) for what in ("redis", "s3", "events"))
        table.append((step, *texts))
    return table


def _text(line: dict[str, float]) -> str:
    return f"{line['song']:.0f}" + (f" + {line['part']:.1f} a part" if abs(line["part"]) >= 0.2 else "")
