"""Separating a song: its segments through the networks, added up, and given as parts."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from functions.separate.devices import Device
from functions.separate.faults import told_apart
from functions.separate.grid import Grid, Sum
from functions.separate.networks import Ensemble, Network
from functions.separate.passes import Pass, Segment, delays, segments
from functions.separate.recipe import recipe
from medley.audio import Mix
from medley.errors import Overflow
from medley.parts import HIGHEST, SCALE
from medley.separation import Separation

EPSILON = 1e-8  # demucs.api.Separator.separate_tensor adds it to the deviation
Parts = NDArray[np.int32]  # (stems, 2, samples): 24-bit values at half amplitude


@dataclass(frozen=True)
class Separator:
    """A model on a device, for one song: `seed` tells its shifts from those of others. Lengths are in samples."""

    ensemble: Ensemble
    on: Device
    separation: Separation
    seed: str = ""

    @property
    def stems(self) -> tuple[str, ...]:
        return self.ensemble.stems

    @property
    def samplerate(self) -> int:
        """Hz."""
        return self.ensemble.samplerate

    @property
    def device(self) -> str:
        """ "cpu" or "cuda"."""
        return self.on.name

    @property
    def precision(self) -> str:
        """ "exact" or "fast"."""
        return self.ensemble.precision

    @property
    def recipe(self) -> str:
        """8 hex digits: separators of equal recipe give a song's parts alike, so that they fit together."""
        return recipe(self.separation, self.ensemble.weights, self.precision)

    def grid(self, length: int) -> Grid:
        """The parts of a song of `length` samples: one for each segment of the longest that a network takes."""
        return self._grid(length, max(network.segment for network in self.ensemble.networks))

    def _grid(self, length: int, segment: int) -> Grid:
        return Grid(length, segment, int((1 - self.separation.overlap) * segment))

    def parts(self, mix: Mix, first: int = 0, between: Callable[[], None] = lambda: None) -> Iterator[Parts]:
        """The parts of a song from `first` on. `between` is called before each batch of segments, and may raise.

        Where memory runs out it goes on with fewer segments at a time. Raises OutOfMemory where there is one already,
        Overflow, DeviceLost (then nothing can be computed any more).
        """
        self.on.begin()
        while True:
            with suppress(torch.OutOfMemoryError), told_apart():  # of what is beside the networks; it holds memory
                for part in self._parts(mix, first, between):
                    yield part
                    first += 1
                return
            self._shrink()

    def _shrink(self) -> None:
        """Fewer segments of any network at a time. Raises OutOfMemory where no network takes more than one."""
        networks = self.ensemble.networks
        larger = max(networks, key=self.on.batch)
        self.on.shrink(larger)
        for network in networks:
            if network is not larger and self.on.batch(network) > 1:
                self.on.shrink(network)

    def _parts(self, mix: Mix, first: int, between: Callable[[], None]) -> Iterator[Parts]:
        grid = self.grid(mix.length)
        if first == grid.count:
            return
        waiting: deque[Callable[[], list[Parts]]] = deque()
        for finished in self._finished(mix, grid, first, between):
            waiting.append(finished)
            while len(waiting) > self.on.ahead:
                yield from waiting.popleft()()
        for finished in waiting:
            yield from finished()

    def _finished(
        self, mix: Mix, grid: Grid, first: int, between: Callable[[], None]
    ) -> Iterator[Callable[[], list[Parts]]]:
        """For each batch of segments that finishes parts: what fetches them."""
        added = Sum(grid.part_bounds(first)[0], torch.empty(len(self.stems), 2, 0, device=self.device))
        for batch, limit in self._batches(mix.length, grid.part_bounds(first)[0]):
            for segment, stems in self._separated(mix, batch, between):
                added.add(segment.start, stems)
            finished = []
            while first < grid.count and grid.part_bounds(first)[1] <= limit:
                finished.append(added.take(grid.part_bounds(first)[1]))
                first += 1
            if finished:
                yield self._fetched(mix, finished)

    def _batches(self, length: int, start: int) -> Iterator[tuple[list[Segment], int]]:
        """Segments, as many as the device takes of every pass; and up to where the song is whole with them."""
        passes = self._passes(length)
        size = len(passes) * max(self.on.batch(network) for network in self.ensemble.networks)
        due = segments(passes, start)
        batch = list(islice(due, len(passes) if self.on.alone else size))
        while batch:
            following = list(islice(due, size))
            yield batch, following[0].start if following else length
            batch = following

    def _passes(self, length: int) -> list[Pass]:
        shares = torch.tensor(self.ensemble.shares)
        shares = (shares / shares.sum(0) / max(1, self.separation.shifts))[..., None, None]
        return [
            Pass(network, share.to(self.device), delay, self._grid(length + delay, network.segment))
            for number, (network, share) in enumerate(zip(self.ensemble.networks, shares, strict=True))
            for delay in delays(self.seed, number, self.separation.shifts, self.samplerate)
        ]

    def _separated(
        self, mix: Mix, batch: Sequence[Segment], between: Callable[[], None]
    ) -> Iterator[tuple[Segment, Tensor]]:
        """Each segment with what it adds to the normalised stems, (stems, 2, its samples)."""
        for network, seen, waiting in _alike(batch):
            while waiting:
                between()
                now = waiting[: self.on.batch(network)]
                stems = None
                with suppress(torch.OutOfMemoryError), told_apart():  # the error holds memory
                    stems = self.on.run(network, torch.stack([self._seen(mix, segment, seen) for segment in now]))
                if stems is None:
                    self.on.shrink(network)
                    continue
                yield from zip(now, map(_weighted, now, stems), strict=True)
                del waiting[: len(now)], stems

    def _seen(self, mix: Mix, segment: Segment, length: int) -> Tensor:
        """The normalised song around a segment, (2, length); silence before its beginning and after its end."""
        start = segment.start - (length - segment.length) // 2
        first, end = max(0, start), max(0, min(start + length, mix.length))
        audio = (self.on.take(torch.from_numpy(mix.stretch(first, end))) - mix.mean) / (mix.deviation + EPSILON)
        return functional.pad(audio, (first - start, start + length - end))

    def _fetched(self, mix: Mix, finished: list[Tensor]) -> Callable[[], list[Parts]]:
        """Finished parts as integers, in one copy. What is given back raises Overflow."""
        audio = torch.cat(finished, -1).mul_(mix.deviation + EPSILON).add_(mix.mean)
        total = self.on.fetch(audio.sum())  # no number where any of them is none
        fetched = self.on.fetch(quantised(audio))
        ends = np.cumsum([part.shape[-1] for part in finished])[:-1]

        def parts() -> list[Parts]:
            if not np.isfinite(total()):
                raise Overflow("A network's values were too large for the precision that it computes in.")
            return np.split(fetched(), ends, axis=-1)

        return parts


def quantised(audio: Tensor) -> Tensor:
    """Samples, full scale at 1.0, as 24-bit values at half amplitude; what is above +-2.0 is clamped. Uses them up."""
    return audio.mul_(SCALE).round_().clamp_(-HIGHEST - 1, HIGHEST).to(torch.int32)


def _alike(batch: Sequence[Segment]) -> Iterator[tuple[Network, int, list[Segment]]]:
    """The segments that can go through a network together: it, and the length of what it sees."""
    groups: dict[tuple[int, int], tuple[Network, int, list[Segment]]] = {}
    for segment in batch:
        network, seen = segment.of.network, segment.of.network.seen(segment.length)
        groups.setdefault((id(network), seen), (network, seen, []))[2].append(segment)
    yield from groups.values()


def _weighted(segment: Segment, stems: Tensor) -> Tensor:
    """What a segment adds, of the stems of all that its network saw."""
    before = (stems.shape[-1] - segment.length) // 2
    share = segment.of.grid.share(segment.k, stems.device)
    return stems[..., before : before + segment.length] * (segment.of.share * share)
