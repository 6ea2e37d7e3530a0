"""What the separator gives, part by part, against demucs' own apply_model, with small random networks."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demucs.apply import apply_model
from numpy.typing import NDArray

from functions.separate.networks import Ensemble
from functions.separate.passes import delays
from functions.separate.separator import quantised
from medley.audio import Mix
from tests.networks import (
    CASES,
    FAST,
    QUANTISED,
    SHARES,
    Case,
    agreement,
    bag,
    mixed,
    on_our_grid,
    ours,
    separated,
    separator,
    small,
    song,
    theirs,
    transformer,
    waveform,
)

Audio = NDArray[np.float32]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def by_demucs(network: Any, mix: Mix, **options: Any) -> Audio:
    """What demucs.api.Separator gives: normalised, apply_model with its own grid, and back."""
    normalised = (torch.from_numpy(mix.samples) - mix.mean) / (mix.deviation + 1e-8)
    out = apply_model(network, normalised[None], **{"shifts": 0, "overlap": 0.25, **options})[0]
    result: Audio = (out * (mix.deviation + 1e-8) + mix.mean).numpy()
    return result


LENGTHS: dict[str, Callable[[int, int], int]] = {
    "0.1 s": lambda segment, stride: 4410,
    "less than a part": lambda segment, stride: stride - 1,
    "one segment": lambda segment, stride: segment,
    "one sample more": lambda segment, stride: segment + 1,
    "several segments": lambda segment, stride: 3 * stride + segment // 2,
    "to the border of a segment": lambda segment, stride: 2 * stride + segment,
}


def length(of: Ensemble, name: str, overlap: float = 0.25) -> int:
    grid = separator(of, overlap=overlap).grid(1)
    return LENGTHS[name](grid.segment, grid.stride)


def test_the_result_is_demucs_own_where_its_grid_is_ours(case: Case) -> None:
    grid = separator(case.ensemble).grid(1)
    mix = song(2 * grid.stride + grid.segment * 3 // 5)
    assert agreement(by_demucs(case.network, mix), separated(separator(case.ensemble), mix)) >= QUANTISED


@pytest.mark.parametrize("name", LENGTHS)
def test_the_result_is_demucs_own_on_our_grid(case: Case, name: str) -> None:
    mix = song(length(case.ensemble, name))
    grid = separator(case.ensemble).grid(1)
    own = on_our_grid(case.network, mix, grid.segment, grid.stride)
    assert agreement(own, separated(separator(case.ensemble), mix)) >= QUANTISED


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("seeds", [[0], [0, 1]], ids=["one network", "a bag"])
def test_fast_is_close_to_it(name: str, seeds: list[int]) -> None:
    shares = SHARES[: len(seeds)] if len(seeds) > 1 else None
    of = ours(*map(small, seeds), precision="fast", shares=shares)
    mix, grid = song(length(of, name)), separator(of).grid(1)
    own = on_our_grid(bag([small(seed) for seed in seeds], shares), mix, grid.segment, grid.stride)
    assert agreement(own, separated(separator(of), mix)) >= FAST


@pytest.mark.parametrize("shifts", [0, 1, 3])
def test_going_on_at_any_part_gives_the_same_parts(case: Case, shifts: int) -> None:
    of = separator(case.ensemble, shifts)
    mix = song(length(case.ensemble, "several segments"))
    undisturbed = separated(of, mix)
    for n in range(of.grid(mix.length).count):
        rest = undisturbed[..., of.grid(mix.length).part_bounds(n)[0] :]
        assert agreement(rest, separated(of, mix, n)) >= QUANTISED


def test_nothing_is_computed_where_all_parts_are_there(case: Case) -> None:
    of, mix = separator(case.ensemble), song(100_000)
    assert list(of.parts(mix, of.grid(mix.length).count)) == []


@pytest.mark.parametrize("overlap", [0.1, 0.4])
def test_overlap_is_demucs_own(case: Case, overlap: float) -> None:
    of = separator(case.ensemble, overlap=overlap)
    grid = of.grid(1)
    mix = song(2 * grid.stride + (grid.stride + grid.segment) // 2 - grid.stride // 8)
    own = on_our_grid(case.network, mix, grid.segment, grid.stride)
    assert agreement(own, separated(of, mix)) >= QUANTISED


@pytest.mark.parametrize("shifts", [1, 2, 3])
def test_shifts_are_demucs_own_given_the_same_offsets(case: Case, shifts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of = separator(case.ensemble, shifts)
    grid = of.grid(1)
    chosen = [delay for n in range(len(case.ensemble.networks)) for delay in delays("seed", n, shifts, 44100)]
    offsets = iter([22050 - delay for delay in chosen])
    monkeypatch.setattr(random, "randint", lambda low, high: next(offsets))
    # A length at which apply_model has no segment more, one that the one before covers, for any shift.
    overlap = grid.segment - grid.stride
    lengths = range(2 * grid.stride, 4 * grid.stride, 97)
    size = next(each for each in lengths if all((each + delay) % grid.stride > overlap for delay in chosen))
    mix = song(size)
    assert agreement(by_demucs(case.network, mix, shifts=shifts), separated(of, mix)) >= QUANTISED


def test_shifts_follow_from_the_song() -> None:
    assert delays("a", 0, 3, 44100) == delays("a", 0, 3, 44100) != delays("b", 0, 3, 44100)
    assert delays("a", 0, 3, 44100) != delays("a", 1, 3, 44100)
    assert delays("a", 0, 0, 44100) == [0]
    assert all(0 <= delay <= 22050 for delay in delays("a", 0, 10, 44100))


def test_equal_channels_are_separated_like_any_others(case: Case) -> None:
    grid = separator(case.ensemble).grid(1)
    mix = mixed(np.repeat(song(grid.segment).samples[:1], 2, axis=0))
    own = on_our_grid(case.network, mix, grid.segment, grid.stride)
    assert agreement(own, separated(separator(case.ensemble), mix)) >= QUANTISED


def test_silence_gives_silence(case: Case) -> None:
    grid = separator(case.ensemble).grid(1)
    stems = separated(separator(case.ensemble), mixed(np.zeros((2, grid.segment + 1), np.float32)))
    assert np.abs(stems).max() < 1e-6


def test_a_song_on_disk_is_read_and_not_changed(tmp_path: Path) -> None:
    of, mix = separator(ours(small())), song(30_000)
    np.save(tmp_path / "mix.npy", mix.samples)
    there = Mix(np.load(tmp_path / "mix.npy", mmap_mode="r"), mix.length, mix.mean, mix.deviation)
    assert np.array_equal(separated(of, there), separated(of, mix))


def test_networks_of_different_segments_make_one_model() -> None:
    networks = [transformer(), waveform()]
    mix = song(90_000)  # at which apply_model's grids are ours
    own = by_demucs(bag(networks), mix)
    assert agreement(own, separated(separator(theirs(networks)), mix)) >= QUANTISED


def test_it_is_asked_between_segments_whether_to_go_on() -> None:
    class Stop(Exception):
        pass

    asked: list[int] = []

    def between() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Stop

    parts = separator(ours(small())).parts(song(6 * 16537), 0, between)
    with pytest.raises(Stop):
        list(parts)
    assert len(asked) == 3


def test_samples_are_kept_to_24_bits_at_half_amplitude() -> None:
    noise = 0.3 * torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0))
    assert (quantised(noise.clone()) / 2**22 - noise).abs().max() <= 2**-23


def test_peaks_to_twice_full_scale_survive() -> None:
    samples = torch.tensor([[1.0, 1.9, 2.5, torch.inf], [-1.0, -1.9, -2.5, -torch.inf]])
    top = (1 << 23) - 1
    assert quantised(samples).tolist() == [
        [1 << 22, 7969178, top, top],
        [-(1 << 22), -7969178, -top - 1, -top - 1],
    ]
