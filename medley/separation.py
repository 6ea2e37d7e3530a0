"""How a song is separated: the options that change how its stems sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

PRECISIONS = ("auto", "exact", "fast")
MOST_SHIFTS = 10  # each takes as long as the whole song; more than ten can't be heard
MOST_OVERLAP = 0.45  # of a segment: at half of it some samples would need a third segment


@dataclass(frozen=True)
class Separation:
    """One model over one song.

    `precision`: "exact" (32 bit floats), "fast" (16 bit where the hardware has it), "auto": fast where that is faster.
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
