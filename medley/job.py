"""A job record: one model over one song, as Redis keeps it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medley import names
from medley.models import MODELS
from medley.names import Upload
from medley.separation import Computed, Separation, read_computed

TERMINAL = ("succeeded", "failed", "canceled")
NOTHING = Separation("")  # of a record of which only its end is left


@dataclass(frozen=True)
class Job:
    """The record `song:<hash>`. Times are seconds since 1970, 0 while not yet; lengths are seconds of audio."""

    song: str
    status: str
    upload_id: str
    name: str = ""
    separation: Separation = NOTHING
    outputs: tuple[str, ...] = ()  # files to render before the callback, as named by medley.output
    bitrate: int = 0  # of the MP3 files that were asked for, kbit/s
    extension: str = ""
    bytes: int = 0
    seconds: float = 0.0
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    attempts: int = 0  # since the last new part
    parts: int = 0  # ready for every stem
    counted: int = 0  # parts whose samples beyond full scale are counted
    total: int = 0  # parts there will be, 0 while unknown
    step: float = 0.0  # seconds of audio in a part
    segments: int = 0  # computed in all, over all attempts
    speed: float = 0.0  # seconds of work for one part, measured
    recipe: str = ""
    computed: tuple[Computed, ...] = ()  # by what; more than one where it changed on the way
    traceparent: str = ""
    error: dict[str, str] | None = None
    clipped: dict[str, int] = field(default_factory=dict)  # samples clamped in 16-bit files, by stem
    files: dict[str, int] = field(default_factory=dict)  # rendered: bytes by file
    unrendered: dict[str, str] = field(default_factory=dict)  # asked for but failed: reason by file
    removed: tuple[str, ...] = ()  # stems, and "original"
    callbacks: tuple[str, ...] = ()

    @property
    def upload(self) -> Upload:
        """Where its objects are."""
        return Upload(self.song, self.upload_id)

    @property
    def model(self) -> str:
        return self.separation.model

    @property
    def stems(self) -> tuple[str, ...]:
        """Those of its model; where that is not installed any more, those that it was separated into so far."""
        known = MODELS.get(self.model)
        return known.stems if known else tuple(sorted(self.clipped))

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def restarts(self) -> bool:
        """Whether uploading the song again starts it again."""
        return self.status in ("failed", "canceled") or any(track != "original" for track in self.removed)

    @property
    def progress(self) -> float:
        """How much of it is separated, 0 to 1."""
        if self.status == "succeeded":
            return 1.0
        return self.parts / self.total if self.total else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds until it is separated, from the measured speed; None while unknown."""
        if self.status != "processing" or not self.speed or not self.total:
            return None
        return (self.total - self.parts) * self.speed


_TEXTS = {"status", "name", "extension", "recipe", "traceparent"}
_INTS = {"bitrate", "bytes", "attempts", "parts", "counted", "total", "segments"}
_FLOATS = {"seconds", "created", "started", "finished", "step", "speed"}


def read_job(song: str, record: Mapping[str, str]) -> Job:
    """A job from the fields of its record."""
    values: dict[str, Any] = {name: record[name] for name in _TEXTS if name in record}
    values |= {name: int(record[name]) for name in _INTS if name in record}
    values |= {name: float(record[name]) for name in _FLOATS if name in record}
    return Job(
        song=song,
        upload_id=record.get("upload", ""),
        separation=Separation.read(record) if "model" in record else NOTHING,
        outputs=tuple(json.loads(record.get("outputs", "[]"))),
        computed=read_computed(json.loads(record.get("computed", "[]"))),
        error=json.loads(record["error"]) if record.get("error") else None,
        clipped={name: int(text) for name, text in _prefixed(record, names.CLIPPED)},
        files={name: int(text) for name, text in _prefixed(record, names.FILE)},
        unrendered=dict(_prefixed(record, names.UNRENDERED)),
        removed=tuple(sorted(name for name, _ in _prefixed(record, names.REMOVED))),
        callbacks=tuple(sorted(name for name, _ in _prefixed(record, names.CALLBACK))),
        **values,
    )


def _prefixed(record: Mapping[str, str], prefix: str) -> list[tuple[str, str]]:
    """The fields that begin with `prefix`, without it."""
    return [(name.removeprefix(prefix), text) for name, text in record.items() if name.startswith(prefix)]
