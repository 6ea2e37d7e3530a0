"""Where a song is cut into segments, how much of each goes into the result, and how they are added up."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

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

    def share(self, k: int, device: torch.device | str = "cpu") -> Tensor:
        """How much of the result is segment `k`'s, (samples of the segment): less than 1 where it overlaps another."""
        start, end = self.segment_bounds(k)
        return _share(self.segment, self.stride, end - start, k == 0, k == self.count - 1, str(device))

    def _start(self, k: int) -> int:
        if not 0 <= k < self.count:
            raise IndexError(f"segment {k} of {self.count}")
        return k * self.stride


@lru_cache(16)
def _share(segment: int, stride: int, length: int, first: bool, last: bool, device: str) -> Tensor:
    """The triangles of `apply_model`, of `transition_power` 1, each over the sum of both."""
    share, overlap = torch.ones(length), segment - stride
    rising, falling = triangle(segment)[:overlap], triangle(segment)[stride:]
    if not first:
        share[:overlap] = rising / (rising + falling)
    if not last:
        share[stride:] = falling / (rising + falling)
    return share.to(device)


def triangle(segment: int) -> Tensor:
    """`apply_model`'s weight of each sample of a segment, (segment,)."""
    half = segment // 2
    weight = torch.cat([torch.arange(1, half + 1), torch.arange(segment - half, 0, -1)]).float()
    return weight / weight.max()


class Sum:
    """A window of the result, which moves along the song: segments are added to it and finished parts taken out."""

    def __init__(self, start: int, window: Tensor) -> None:
        """`start` is the song's sample at which it begins; `window`, (stems, channels, 0), grows as needed."""
        self._start = start
        self._window = window

    def add(self, start: int, values: Tensor) -> None:
        """Adds values (stems, channels, n) from sample `start` of the song on; what lies before the window is lost."""
        values = values[..., max(0, self._start - start) :]
        first = max(0, start - self._start)
        end = first + values.shape[-1]
        self._window = functional.pad(self._window, (0, max(0, end - self._window.shape[-1])))
        self._window[..., first:end] += values

    def take(self, end: int) -> Tensor:
        """What there is up to sample `end`, (stems, channels, samples)."""
        size = end - self._start
        taken, self._window = self._window[..., :size], self._window[..., size:].clone()
        self._start = end
        return taken
