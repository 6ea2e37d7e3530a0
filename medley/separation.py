"""How a song is separated: what was asked for, and how it was computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

PRECISIONS = ("auto", "exact", "fast")
MOST_SHIFTS = 10  # each takes as long as the whole song; more than ten can't be heard
MOST_OVERLAP = 0.45  # of a segment: at half of it some samples would need a third segment


@dataclass(frozen=True)
class Separation:
    """One model over one song.

    `precision`: "exact" (32 bit floats), "fast" (16 and 8 bits where the hardware has them), "auto": what is faster.
    `shifts`: how many randomly shifted passes are averaged (Demucs' shift trick); 0: one that is not shifted.
    `overlap`: how much of a segment overlaps with the next, a fraction.
    """

    model: str
    precision: str = "auto"
    shifts: int = 0
    overlap: float = 0.25

    def options(self) -> dict[str, object]:
        """The model, and of the others those that are not as usual: what a song's hash is made of."""
        usual = type(self)(self.model)
        asked = {name: value for name, value in vars(self).items() if value != getattr(usual, name)}
        return {"model": self.model, **asked}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """From `song.json` or a job record; what an earlier version did not write is as usual."""
        known = {"precision": str, "shifts": int, "overlap": float}
        written = {name: kind(record[name]) for name, kind in known.items() if record.get(name) not in (None, "")}
        return cls(str(record["model"]), **written)


@dataclass(frozen=True)
class Computed:
    """How work at a song began or went on. All its parts are in the last one's precision, as another begins anew."""

    part: int  # from which on
    precision: str  # exact, fast
    device: str  # cpu, cuda


def noted(known: tuple[Computed, ...], goes_on: Computed) -> tuple[Computed, ...]:
    """What is known of the work at a song, and how it goes on if that is otherwise than before."""
    same = known and (known[-1].precision, known[-1].device) == (goes_on.precision, goes_on.device)
    return known if same else (*known, goes_on)


def read_computed(entries: list[Mapping[str, Any]]) -> tuple[Computed, ...]:
    """From `done.json` or a job record."""
    return tuple(Computed(entry["part"], entry["precision"], entry["device"]) for entry in entries)
