"""A song as S3 keeps it: what was uploaded (`song.json`) and what came of it (`done.json`)."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from medley import names
from medley.separation import Computed, Separation, read_computed

MAX_NAME = 200  # characters


@dataclass(frozen=True)
class Song:
    """`song.json`. `seconds` of audio, `created` in seconds since 1970."""

    name: str
    separation: Separation
    outputs: tuple[str, ...]  # files to render before the callback
    bitrate: int  # kbit/s, of the MP3 files that were asked for
    extension: str
    bytes: int
    seconds: float
    created: float
    traceparent: str = ""  # of the request that uploaded it

    def record(self) -> dict[str, str | int | float]:
        """The fields of a job record that follow from it."""
        own = {name: value for name, value in vars(self).items() if name != "separation"}
        return {**own, **asdict(self.separation), "outputs": json.dumps(self.outputs)}

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> Self:
        """From `song.json`; of what a later version may have added nothing is taken.

        Raises KeyError or TypeError when it is not one.
        """
        known = {field.name: manifest[field.name] for field in fields(cls) if field.name in manifest}
        return cls(**{**known, "separation": Separation.read(manifest), "outputs": tuple(known["outputs"])})


@dataclass(frozen=True)
class Done:
    """`done.json`: the separation is whole. Lengths are in samples, a sample being one value per channel."""

    parts: int
    length: int
    step: int
    samplerate: int
    stems: tuple[str, ...]
    model: str
    recipe: str
    precision: str
    device: str
    segments: int  # computed in all, over all attempts
    clipped: dict[str, int]  # samples beyond full scale, by stem: clamped in 16-bit files
    computed: tuple[Computed, ...] = ()  # none in what an earlier version wrote

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> Self:
        """From `done.json`."""
        known = {field.name: manifest[field.name] for field in fields(cls) if field.name != "computed"}
        computed = read_computed(manifest.get("computed", []))
        return cls(**{**known, "stems": tuple(known["stems"]), "computed": computed})

    def record(self) -> dict[str, str | int | float]:
        """The fields of a job record that follow from it."""
        counts = {f"{names.CLIPPED}{stem}": count for stem, count in self.clipped.items()}
        about: dict[str, str | int | float] = {"parts": self.parts, "total": self.parts, "recipe": self.recipe}
        about |= {"step": self.step / self.samplerate, "segments": self.segments, **counts}
        return about | {"computed": json.dumps([asdict(entry) for entry in self.computed])}


def song_hash(audio_sha256: str, separation: Separation) -> str:
    """A song's identity: its audio and what changes how its stems sound; not what is rendered from them."""
    options = json.dumps(separation.options(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{audio_sha256}{options}".encode()).hexdigest()


def clean_name(name: str) -> str:
    """A song's name without what can be neither shown nor sent in a header, and not longer than a title is."""
    name = name[: 10 * MAX_NAME]  # each letter takes a hundred bytes here, and a client may send 250 million
    printable = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in name)
    return " ".join(printable.split())[:MAX_NAME]
