"""The grid of segments and the adding of their outputs into parts, without a network."""

import pytest
import torch
from torch import Tensor

from functions.separate.grid import Grid, Sum, triangle

SEGMENT, STRIDE = 40, 30
LENGTHS = (1, 29, 30, 39, 40, 41, 69, 70, 71, 100, 101, 130, 217)


def grid(length: int) -> Grid:
    return Grid(length, SEGMENT, STRIDE)


def outputs(of: Grid) -> list[Tensor]:
    """One random output, (stems, channels, samples), for each segment."""
    random = torch.Generator().manual_seed(0)
    bounds = [of.segment_bounds(k) for k in range(of.count)]
    return [torch.randn(3, 2, end - start, generator=random) for start, end in bounds]


def joined_by_demucs(of: Grid, segments: list[Tensor]) -> Tensor:
    """The sums and the division of `demucs.apply.apply_model`, over the whole song at once."""
    out = torch.zeros(3, 2, of.length)
    sum_weight = torch.zeros(of.length)
    for k, segment in enumerate(segments):
        start, end = of.segment_bounds(k)
        weight = triangle(of.segment)[: end - start]
        out[..., start:end] += weight * segment
        sum_weight[start:end] += weight
    return out / sum_weight


def added(of: Grid, segments: list[Tensor], first: int = 0) -> list[Tensor]:
    """The parts from `first` on, of the segments that reach into them."""
    total = Sum(of.part_bounds(first)[0], torch.empty(3, 2, 0))
    parts = []
    for k in range(max(first - 1, 0), of.count):
        total.add(of.segment_bounds(k)[0], segments[k] * of.share(k))
        if k >= first:
            parts.append(total.take(of.part_bounds(k)[1]))
    return parts


@pytest.mark.parametrize(("length", "count"), [(1, 1), (30, 1), (40, 1), (41, 2), (70, 2), (71, 3), (100, 3), (101, 4)])
def test_a_segment_that_the_one_before_covers_is_left_out(length: int, count: int) -> None:
    assert grid(length).count == count


def test_htdemucs_needs_two_segments_for_twelve_seconds() -> None:
    of = Grid(12 * 44100, 343980, 257985)
    assert [of.segment_bounds(k) for k in range(of.count)] == [(0, 343980), (257985, 529200)]
    assert [of.part_bounds(k) for k in range(of.count)] == [(0, 257985), (257985, 529200)]


@pytest.mark.parametrize("length", LENGTHS)
def test_parts_cover_the_song_once_and_lie_within_their_segments(length: int) -> None:
    of = grid(length)
    parts = [of.part_bounds(k) for k in range(of.count)]
    assert [start for start, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == length
    for (start, end), (first, last) in zip(parts, map(of.segment_bounds, range(of.count)), strict=True):
        assert first == start < end <= last <= first + SEGMENT


@pytest.mark.parametrize("length", LENGTHS)
def test_the_shares_of_the_segments_make_one_whole(length: int) -> None:
    of, total = grid(length), torch.zeros(length)
    for k in range(of.count):
        start, end = of.segment_bounds(k)
        total[start:end] += of.share(k)
    assert torch.allclose(total, torch.ones(length))


@pytest.mark.parametrize("length", LENGTHS)
def test_parts_put_together_are_what_demucs_adds_up(length: int) -> None:
    of = grid(length)
    segments = outputs(of)
    parts = added(of, segments)
    assert [part.shape[-1] for part in parts] == [end - start for start, end in map(of.part_bounds, range(of.count))]
    assert torch.allclose(torch.cat(parts, -1), joined_by_demucs(of, segments), rtol=1e-5, atol=1e-6)


def test_going_on_at_any_part_gives_the_same_parts() -> None:
    of = grid(217)
    segments = outputs(of)
    undisturbed = added(of, segments)
    for first in range(of.count):
        for part, same in zip(added(of, segments, first), undisturbed[first:], strict=True):
            assert torch.equal(part, same)


def test_what_begins_before_the_window_is_cut() -> None:
    total = Sum(10, torch.empty(1, 1, 0))
    total.add(4, torch.ones(1, 1, 12))
    total.add(-9, torch.ones(1, 1, 5))
    total.add(12, torch.ones(1, 1, 6))
    assert total.take(14).tolist() == [[[1, 1, 2, 2]]]
    assert total.take(18).tolist() == [[[2, 2, 1, 1]]]


@pytest.mark.parametrize("k", [-1, 3])
def test_a_segment_that_is_not_there_has_no_bounds(k: int) -> None:
    with pytest.raises(IndexError):
        grid(100).segment_bounds(k)


@pytest.mark.parametrize(("length", "segment", "stride"), [(0, 40, 30), (100, 40, 20), (100, 40, 41)])
def test_a_grid_that_cannot_be_is_refused(length: int, segment: int, stride: int) -> None:
    with pytest.raises(ValueError, match="sample"):
        Grid(length, segment, stride)
