"""The passes over a song that are averaged: one of each network, or as many as are asked for, each shifted in time."""

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from functions.separate.grid import Grid
from functions.separate.networks import Network

LONGEST_SHIFT = 0.5  # s: demucs' own


@dataclass(frozen=True)
class Pass:
    """A network over a song of which it sees the beginning `delay` samples late, after silence.

    `share` is how much of each stem it makes, (stems, 1, 1).
    """

    network: Network
    share: Tensor
    delay: int
    grid: Grid


@dataclass(frozen=True)
class Segment:
    """Segment `k` of a pass. It begins at sample `start` of the song, which is below 0 where the pass is shifted."""

    start: int
    of: Pass
    k: int

    @property
    def length(self) -> int:
        first, end = self.of.grid.segment_bounds(self.k)
        return end - first


def delays(seed: str, network: int, shifts: int, samplerate: int) -> list[int]:
    """The delays, in samples, of a network's passes: Demucs' shift trick, by a seed the same in any process.

    (Défossez et al., Music Source Separation in the Waveform Domain, 2019.)
    """
    chosen = random.Random(f"{seed} {network}")
    return [chosen.randint(0, int(LONGEST_SHIFT * samplerate)) for _ in range(shifts)] or [0]


def segments(passes: Sequence[Pass], after: int) -> Iterator[Segment]:
    """The segments of all passes that reach beyond sample `after` of the song, by where they begin."""
    return heapq.merge(*(_of(each, after) for each in passes), key=lambda segment: segment.start)


def _of(each: Pass, after: int) -> Iterator[Segment]:
    for k in range(each.grid.count):
        if each.grid.segment_bounds(k)[1] - each.delay > after:
            yield Segment(each.grid.segment_bounds(k)[0] - each.delay, each, k)
