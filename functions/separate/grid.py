"""Where a song is cut into segments, and how the segments' outputs are joined into parts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Bounds = tuple[int, int]  # first sample, and the one after the last


@dataclass(frozen=True)
class Grid:
    """The segments of a song, one every `stride`, each `segment` long; and its parts, one for each segment. In samples.

    It is the grid of `demucs.apply.apply_model` without the last segment where the one before already reaches the end.
    """

    length: int
    segment: int
    stride: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError("a song has at least one sample")
        # An overlap of half a segment or more would need a third segment for some samples.
        if not self.stride <= self.segment < 2 * self.stride:
            raise ValueError(f"segments of {self.segment} every {self.stride} samples do not overlap by less than half")

    @property
    def count(self) -> int:
        """How many segments there are, which is how many parts there are."""
        beyond = max(0, self.length - self.segment)
        return -(-beyond // self.stride) + 1

    def segment_bounds(self, k: int) -> Bounds:
        """What segment `k` covers: the last one, and only that, may be shorter than the others."""
        start = self._start(k)
        return start, min(start + self.segment, self.length)

    def part_bounds(self, k: int) -> Bounds:
        """What part `k` covers: from its segment's start to the next one's, or to the end of the song."""
        start = self._start(k)
        return start, self.length if k == self.count - 1 else start + self.stride

    def _start(self, k: int) -> int:
        if not 0 <= k < self.count:
            raise IndexError(f"segment {k} of {self.count}")
        return k * self.stride


def triangle(segment: int) -> Audio:
    """The weight of each sample of a segment, (segment,): `apply_model`'s with its `transition_power` of 1."""
    rising = np.arange(1, segment // 2 + 1, dtype=np.float32)
    falling = np.arange(segment - segment // 2, 0, -1, dtype=np.float32)
    weight = np.concatenate([rising, falling])
    weight /= weight.max()
    return weight


class OverlapAdd:
    """Joins the outputs of segments, added in order, into parts.

    The sums and the division are those of `demucs.apply.apply_model`, in float32, so the parts put together are its
    result to the last bit. Between two segments only the end of the earlier one is kept, as two at most overlap.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._weight = triangle(grid.segment)
        self._next: int | None = None
        self._tail: Audio | None = None  # weighted; what the last segment has beyond its part
        self._tail_weight = np.zeros(0, np.float32)

    def add(self, k: int, output: Audio) -> Audio:
        """Take segment `k`'s output, (stems, channels, samples); give part `k`, (stems, channels, samples of the part).

        One may start at any `k`. Where that is not 0, the first part lacks its overlap with the segment before: to go
        on at part n, add segment n - 1 first and discard what that gives.
        """
        self._expect(k, output)
        weight = self._weight[: output.shape[-1]].copy()
        weighted = output * weight
        if self._tail is not None:
            overlap = self._tail.shape[-1]
            weighted[..., :overlap] += self._tail
            weight[:overlap] += self._tail_weight
        return self._split(k, weighted, weight)

    def _expect(self, k: int, output: Audio) -> None:
        """Raise ValueError unless `output` is the next segment's."""
        if self._next is not None and k != self._next:
            raise ValueError(f"segment {k} came where {self._next} was due")
        start, end = self._grid.segment_bounds(k)
        if output.shape[-1] != end - start:
            raise ValueError(f"segment {k} has {output.shape[-1]} samples, not {end - start}")
        self._next = k + 1

    def _split(self, k: int, weighted: Audio, weight: Audio) -> Audio:
        """The finished part; what is beyond it is kept for the next one."""
        start, end = self._grid.part_bounds(k)
        size = end - start
        # A copy, so that not the whole segment stays in memory.
        self._tail, self._tail_weight = weighted[..., size:].copy(), weight[size:].copy()
        part: Audio = weighted[..., :size] / weight[:size]
        return part
