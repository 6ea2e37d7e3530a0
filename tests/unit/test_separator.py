"""What the separator gives, part by part, against demucs' own apply_model, with small random networks."""

import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demucs.apply import apply_model
from demucs.demucs import Demucs as Waveform
from numpy.typing import NDArray

from functions.separate.devices import Cpu, OutOfMemory, fitting
from functions.separate.engine import Engine
from functions.separate.networks import Ensemble, Network
from functions.separate.passes import delays
from functions.separate.separator import Separator
from functions.separate.weights import WeightsMissing
from medley.audio import Mix
from medley.models import FOUR, MODELS
from medley.parts import SCALE
from medley.separation import Separation
from medley.settings import BadSettings
from tests.networks import EXACT, FAST, agreement, bag, mixed, on_our_grid, ours, small, theirs

QUANTISED = 92.0  # dB that 24 bits at half amplitude leave at least, of the quietest stem here

Audio = NDArray[np.float32]


@dataclass
class Case:
    """An ensemble, and the same networks for apply_model."""

    ensemble: Ensemble
    network: Any


def transformer(seed: int = 0) -> Any:
    """HTDemucs: a shorter last segment is padded to a whole one, with the song before it."""
    return small(seed)


def untrained() -> Any:
    """HDemucs: takes a segment as it is."""
    network = Engine("cpu").separator(Separation("demucs_unittest")).ensemble.networks[0]
    return network.network  # type: ignore[attr-defined]


def waveform() -> Any:
    """Demucs: every segment is padded, with the song around it."""
    torch.manual_seed(1)
    return Waveform(list(FOUR), channels=4, depth=3, lstm_layers=1, segment=1).eval()


SHARES = [[1, 0, 0.5, 0.25], [0, 1, 0.5, 0.5]]
CASES: dict[str, Callable[[], Case]] = {
    "own forward": lambda: Case(ours(small()), small()),
    "own forward, a bag": lambda: Case(ours(small(), small(1), shares=SHARES), bag([small(), small(1)], SHARES)),
    "demucs, HTDemucs": lambda: Case(theirs([transformer()]), transformer()),
    "demucs, HDemucs": lambda: Case(theirs([untrained()]), untrained()),
    "demucs, Demucs": lambda: Case(theirs([waveform()]), waveform()),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def song(length: int) -> Mix:
    """Noise that swells over a tone, off centre."""
    time = np.arange(length) / 44100
    noise = np.random.default_rng(length).standard_normal((2, length)) * np.minimum(time, 1)
    return mixed((0.1 * noise + 0.3 * np.sin(2 * np.pi * 220 * time) + 0.01).astype(np.float32))


def separator(of: Ensemble, shifts: int = 0, overlap: float = 0.25, on: Any = None) -> Separator:
    return Separator(of, on or Cpu(), Separation("test", shifts=shifts, overlap=overlap), "seed")


def separated(by: Separator, mix: Mix, first: int = 0) -> NDArray[np.float64]:
    """The song from part `first` on, (stems, 2, samples)."""
    parts = list(by.parts(mix, first))
    bounds = [by.grid(mix.length).part_bounds(k) for k in range(first, by.grid(mix.length).count)]
    assert [part.shape for part in parts] == [(len(by.stems), 2, end - start) for start, end in bounds]
    assert all(part.dtype == np.int32 for part in parts)
    return np.concatenate(parts, axis=-1) / SCALE


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
def test_fast_is_close_to_it(name: str) -> None:
    of = ours(small(), precision="fast")
    mix, grid = song(length(of, name)), separator(of).grid(1)
    own = on_our_grid(small(), mix, grid.segment, grid.stride)
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


# --- Devices --------------------------------------------------------------------------------------------------------


class Batches(Cpu):
    """Takes `size` segments at a time, of which `fits` fit; gives results a batch later, as a GPU does."""

    name, ahead = "cpu", 1

    def __init__(self, size: int, fits: int) -> None:
        self.size, self.fits = size, fits
        self.ran: list[int] = []

    def batch(self, network: Network) -> int:
        return self.size

    def run(self, network: Network, segments: torch.Tensor) -> torch.Tensor:
        if len(segments) > self.fits:
            raise torch.OutOfMemoryError("too many")
        self.ran.append(len(segments))
        return network(segments)

    def shrink(self, network: Network) -> None:
        if self.size == 1:
            raise OutOfMemory("not one fits")
        self.size //= 2


@pytest.mark.parametrize("shifts", [0, 2])
@pytest.mark.parametrize("size", [2, 4, 16])
def test_batches_give_the_same_parts(case: Case, size: int, shifts: int) -> None:
    device = Batches(size, size)
    mix = song(length(case.ensemble, "several segments"))
    alone, together = separator(case.ensemble, shifts), separator(case.ensemble, shifts, on=device)
    assert agreement(separated(alone, mix), separated(together, mix)) >= QUANTISED
    assert max(device.ran) > 1
    assert agreement(separated(alone, mix, 2), separated(together, mix, 2)) >= QUANTISED


def test_out_of_memory_makes_batches_smaller() -> None:
    device, of = Batches(16, 3), ours(small())
    mix = song(6 * 16537)
    assert agreement(separated(separator(of), mix), separated(separator(of, on=device), mix)) >= EXACT
    assert device.ran[0] == 2
    assert max(device.ran) == 2


def test_out_of_memory_for_one_segment_fails_clearly_and_once() -> None:
    device, of, mix = Batches(4, 0), ours(small()), song(50_000)
    with pytest.raises(OutOfMemory, match="not one fits"):
        list(separator(of, on=device).parts(mix))
    device.fits = 1
    assert separated(separator(of, on=device), mix).shape == (4, 2, 50_000)


@pytest.mark.parametrize(("free", "size"), [(0, 1), (100, 1), (250, 2), (1000, 8), (10**9, 16)])
def test_a_batch_fits_the_free_memory(free: int, size: int) -> None:
    assert fitting(free, 100) == size


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


# --- Models ---------------------------------------------------------------------------------------------------------


def test_the_untrained_model_is_the_same_in_every_process() -> None:
    here = Engine("cpu").separator(Separation("demucs_unittest"))
    script = (
        "from functions.separate.engine import Engine; from medley.separation import Separation;"
        "tiny = Engine('cpu').separator(Separation('demucs_unittest'));"
        "print(tiny.recipe, float(sum(each.double().sum() for each in tiny.ensemble.networks[0].network.parameters())))"
    )
    there = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    total = float(sum(each.double().sum() for each in untrained().parameters()))
    assert there == [here.recipe, str(total)]
    assert here.stems == MODELS["demucs_unittest"].stems
    assert (here.device, here.precision, here.samplerate) == ("cpu", "exact", 44100)
    assert (here.grid(1).segment, here.grid(1).stride) == (88200, 66150)


def test_loading_the_untrained_model_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    Engine("cpu").separator(Separation("demucs_unittest"))
    assert torch.equal(torch.rand(1), expected)


def test_whatever_changes_the_sound_is_another_recipe() -> None:
    separators = [
        Separator(of, Cpu(), Separation("test", shifts=shifts, overlap=overlap))
        for of in (ours(small()), ours(small(1)), ours(small(), precision="fast"), ours(small(), small()))
        for shifts in (0, 1)
        for overlap in (0.25, 0.3)
    ]
    assert len({each.recipe for each in separators}) == len(separators)
    assert separator(ours(small())).recipe == separator(ours(small())).recipe


def test_cuda_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Engine("auto").separator(Separation("demucs_unittest")).device == "cpu"
    with pytest.raises(BadSettings, match="DEVICE is cuda, but"):
        Engine("cuda")


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="medley weights htdemucs"):
        Engine("cpu", weights_dir=str(tmp_path)).separator(Separation("htdemucs"))
