"""Counting samples beyond full scale, once for each part, over all attempts at a song."""

from collections.abc import Mapping, Sequence

from medley import names
from medley.job import Job


class Clipping:
    """What the record has counted so far, unless that was for the parts of another recipe."""

    def __init__(self, job: Job, recipe: str, stems: Sequence[str]) -> None:
        same = job.recipe == recipe
        self.parts = job.counted if same else 0
        self.samples = {stem: job.clipped.get(stem, 0) if same else 0 for stem in stems}

    def add(self, clipped: Mapping[str, int]) -> None:
        """Counts what was clipped in one more part, by stem."""
        self.parts += 1
        for stem, samples in clipped.items():
            self.samples[stem] += samples

    def record(self) -> dict[str, int]:
        """The record's fields."""
        return {"counted": self.parts, **{f"{names.CLIPPED}{stem}": count for stem, count in self.samples.items()}}
