"""The grid of segments and the joining of their outputs into parts, without a network."""

import numpy as np
import pytest

from functions.separate.grid import Audio, Grid, OverlapAdd, triangle

SEGMENT, STRIDE = 40, 30
LENGTHS = (1, 29, 30, 39, 40, 41, 69, 70, 71, 100, 101, 130, 217)


def grid(length: int) -> Grid:
    return Grid(length, SEGMENT, STRIDE)


def outputs(of: Grid) -> list[Audio]:
    """One random output, (stems, channels, samples), for each segment."""
    random = np.random.default_rng(0)
    bounds = [of.segment_bounds(k) for k in range(of.count)]
    return [random.standard_normal((3, 2, end - start), np.float32) for start, end in bounds]


def joined_by_demucs(of: Grid, segments: list[Audio]) -> Audio:
    """The sums and the division of `demucs.apply.apply_model`, over the whole song at once."""
    out = np.zeros((3, 2, of.length), np.float32)
    sum_weight = np.zeros(of.length, np.float32)
    for k, segment in enumerate(segments):
        start, end = of.segment_bounds(k)
        weight = triangle(of.segment)[: end - start]
        out[..., start:end] += weight * segment
        sum_weight[start:end] += weight
    result: Audio = out / sum_weight
    return result


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
def test_parts_put_together_are_what_demucs_adds_up(length: int) -> None:
    of = grid(length)
    segments = outputs(of)
    adder = OverlapAdd(of)
    parts = [adder.add(k, segment) for k, segment in enumerate(segments)]
    assert [part.shape[-1] for part in parts] == [end - start for start, end in map(of.part_bounds, range(of.count))]
    assert np.array_equal(np.concatenate(parts, axis=-1), joined_by_demucs(of, segments))


def test_going_on_at_any_part_gives_the_same_parts() -> None:
    of = grid(217)
    segments = outputs(of)
    adder = OverlapAdd(of)
    undisturbed = [adder.add(k, segment) for k, segment in enumerate(segments)]
    for n in range(1, of.count):
        resumed = OverlapAdd(of)
        resumed.add(n - 1, segments[n - 1])
        for k in range(n, of.count):
            assert np.array_equal(resumed.add(k, segments[k]), undisturbed[k])


def test_an_output_is_not_changed() -> None:
    of = grid(71)
    segments = outputs(of)
    adder = OverlapAdd(of)
    for k, segment in enumerate(segments):
        before = segment.copy()
        adder.add(k, segment)
        assert np.array_equal(segment, before)


def test_a_segment_out_of_order_is_refused() -> None:
    of = grid(217)
    segments = outputs(of)
    adder = OverlapAdd(of)
    adder.add(1, segments[1])
    with pytest.raises(ValueError, match="segment 3 came where 2 was due"):
        adder.add(3, segments[3])


def test_an_output_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="segment 0 has 39 samples, not 40"):
        OverlapAdd(grid(100)).add(0, np.zeros((3, 2, 39), np.float32))


@pytest.mark.parametrize("k", [-1, 3])
def test_a_segment_that_is_not_there_has_no_bounds(k: int) -> None:
    with pytest.raises(IndexError):
        grid(100).segment_bounds(k)


@pytest.mark.parametrize(("length", "segment", "stride"), [(0, 40, 30), (100, 40, 20), (100, 40, 41)])
def test_a_grid_that_cannot_be_is_refused(length: int, segment: int, stride: int) -> None:
    with pytest.raises(ValueError, match="sample"):
        Grid(length, segment, stride)
