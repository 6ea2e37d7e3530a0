"""Counting samples beyond full scale, once for each part, over all attempts at a song."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medley import names, parts
from medley.job import Job


class Clipping:
    """What the record has counted so far, unless that was for the parts of another recipe."""

    def __init__(self, job: Job, recipe: str, stems: Sequence[str]) -> None:
        same = job.recipe == recipe
        self.parts = job.counted if same else 0
        self.samples = {stem: job.clipped.get(stem, 0) if same else 0 for stem in stems}

    def add(self, values: Mapping[str, NDArray[np.int32]]) -> None:
        """Counts one more part of every stem, each (2, n)."""
        self.parts += 1
        for stem, stem_values in values.items():
            self.samples[stem] += parts.clipped(stem_values)

    def record(self) -> dict[str, int]:
        """The record's fields."""
        return {"counted": self.parts, **{f"{names.CLIPPED}{stem}": count for stem, count in self.samples.items()}}
