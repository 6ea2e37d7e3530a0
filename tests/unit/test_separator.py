"""What the separator gives, part by part, against demucs' own apply_model, with small random networks."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demucs.apply import BagOfModels, TensorChunk, apply_model
from demucs.demucs import Demucs
from demucs.htdemucs import HTDemucs

from functions.separate.grid import Audio, OverlapAdd
from functions.separate.separator import DemucsSeparator, Separator, digest, load
from functions.separate.weights import WeightsMissing
from medley.models import FOUR, MODELS
from medley.settings import BadSettings

CLOSE = 100.0  # dB


def untrained() -> Any:
    """HDemucs: takes a segment as it is."""
    return load("demucs_unittest", "cpu", "")._network  # type: ignore[attr-defined]


def transformer(segment: float = 1) -> Any:
    """HTDemucs: a shorter last segment is padded to a whole one, with the song before it."""
    return HTDemucs(list(FOUR), channels=8, bottom_channels=16, t_layers=1, t_heads=2, segment=segment)


def waveform() -> Any:
    """Demucs: every segment is padded, with the song around it."""
    return Demucs(list(FOUR), channels=4, depth=3, lstm_layers=1, segment=1)


def bag() -> Any:
    return BagOfModels([transformer(), transformer()], [[1, 0, 0.5, 0.25], [0, 1, 0.5, 0.5]])


def bag_of_lengths() -> Any:
    return BagOfModels([transformer(1), waveform(), transformer(0.5)])


NETWORKS = {make.__name__: make for make in (untrained, transformer, waveform, bag)}


@pytest.fixture(scope="module", params=NETWORKS)
def separator(request: pytest.FixtureRequest) -> DemucsSeparator:
    torch.manual_seed(1)
    return DemucsSeparator(request.param, NETWORKS[request.param](), "random", "cpu")


def song(length: int) -> Audio:
    """Noise that swells over a tone, off centre, (2, length)."""
    time = np.arange(length) / 44100
    noise = np.random.default_rng(length).standard_normal((2, length)) * np.minimum(time, 1)
    return (0.1 * noise + 0.3 * np.sin(2 * np.pi * 220 * time) + 0.01).astype(np.float32)


def lengths(of: Separator) -> dict[str, int]:
    return {
        "0.1 s": 4410,
        "less than a part": of.stride - 1,
        "one segment": of.segment,
        "one sample more": of.segment + 1,
        "several segments": 3 * of.stride + of.segment // 2,
    }


def statistics(mix: Audio) -> tuple[float, float]:
    """Mean and deviation of the mono mix, as demucs.api.Separator takes them."""
    mono = torch.from_numpy(mix).mean(0)
    return float(mono.mean()), float(mono.std())


def parts(of: Separator, mix: Audio, start: int = 0) -> list[Audio]:
    """The parts from `start` on."""
    adder = OverlapAdd(of.grid(mix.shape[-1]))
    first = max(0, start - 1)
    added = [adder.add(k, of.separate(mix, *statistics(mix), k)) for k in range(first, of.grid(mix.shape[-1]).count)]
    return added[start - first :]


def by_demucs(of: DemucsSeparator, mix: Audio) -> Audio:
    """What demucs.api.Separator gives: normalised, apply_model with its own grid, and back."""
    mean, deviation = statistics(mix)
    normalised = (torch.from_numpy(mix) - mean) / (deviation + 1e-8)
    out = apply_model(of._network, normalised[None], shifts=0, overlap=0.25)[0]
    result: Audio = (out * (deviation + 1e-8) + mean).numpy()
    return result


def on_our_grid(of: DemucsSeparator, mix: Audio) -> Audio:
    """apply_model's algorithm over the whole song, without the last segment where the one before covers it."""
    mean, deviation = statistics(mix)
    normalised = ((torch.from_numpy(mix) - mean) / (deviation + 1e-8))[None]
    half = of.segment // 2
    weight = torch.cat([torch.arange(1, half + 1), torch.arange(of.segment - half, 0, -1)])
    weight = weight / weight.max()
    out, sum_weight = torch.zeros(len(of.stems), *mix.shape), torch.zeros(mix.shape[-1])
    for offset in range(0, max(1, mix.shape[-1] - of.segment + of.stride), of.stride):
        chunk = TensorChunk(normalised, offset, of.segment)
        result = apply_model(of._network, chunk, shifts=0, split=False)[0]
        out[..., offset : offset + of.segment] += weight[: chunk.length] * result
        sum_weight[offset : offset + of.segment] += weight[: chunk.length]
    audio: Audio = (out / sum_weight * (deviation + 1e-8) + mean).numpy()
    return audio


def agreement(ours: Audio, theirs: Audio) -> float:
    """dB, of the stem that agrees least."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float32
    theirs64 = theirs.astype(np.float64)
    signal, error = (theirs64**2).sum((1, 2)), ((ours - theirs64) ** 2).sum((1, 2))
    return float(10 * np.log10(signal / np.maximum(error, 1e-30)).min())


def test_the_result_is_demucs_own_where_its_grid_is_ours(separator: DemucsSeparator) -> None:
    mix = song(2 * separator.stride + separator.segment * 3 // 5)
    assert separator.grid(mix.shape[-1]).count == -(-mix.shape[-1] // separator.stride)
    assert agreement(np.concatenate(parts(separator, mix), axis=-1), by_demucs(separator, mix)) >= CLOSE


@pytest.mark.parametrize("name", ["0.1 s", "less than a part", "one segment", "one sample more", "several segments"])
def test_the_result_is_demucs_own_on_our_grid(separator: DemucsSeparator, name: str) -> None:
    mix = song(lengths(separator)[name])
    assert agreement(np.concatenate(parts(separator, mix), axis=-1), on_our_grid(separator, mix)) >= CLOSE


def test_going_on_at_any_part_gives_the_same_parts(separator: DemucsSeparator) -> None:
    mix = song(lengths(separator)["several segments"])
    undisturbed = parts(separator, mix)
    for n in range(len(undisturbed)):
        for ours, theirs in zip(parts(separator, mix, n), undisturbed[n:], strict=True):
            assert agreement(ours, theirs) >= CLOSE


def test_equal_channels_are_separated_like_any_others(separator: DemucsSeparator) -> None:
    mix = np.repeat(song(separator.segment)[:1], 2, axis=0)
    assert agreement(np.concatenate(parts(separator, mix), axis=-1), on_our_grid(separator, mix)) >= CLOSE


def test_silence_gives_silence(separator: DemucsSeparator) -> None:
    stems = np.concatenate(parts(separator, np.zeros((2, separator.segment + 1), np.float32)), axis=-1)
    assert np.abs(stems).max() < 1e-6


def test_a_song_on_disk_is_read_and_not_changed(tmp_path: Path) -> None:
    separator = load("demucs_unittest", "cpu", "")
    mix = song(separator.segment)
    np.save(tmp_path / "mix.npy", mix)
    on_disk = np.load(tmp_path / "mix.npy", mmap_mode="r")
    assert np.array_equal(separator.separate(on_disk, 0.01, 0.2, 0), separator.separate(mix, 0.01, 0.2, 0))


def test_a_bag_of_different_segments_goes_through_demucs_whole() -> None:
    separator = DemucsSeparator("bag", bag_of_lengths(), "random", "cpu")
    mix = song(100_000)
    assert (separator.segment, separator.grid(100_000).count) == (0, 1)
    assert agreement(parts(separator, mix)[0], by_demucs(separator, mix)) >= CLOSE


def test_the_untrained_model_is_the_same_in_every_process() -> None:
    here = load("demucs_unittest", "cpu", "")
    script = (
        "from functions.separate.separator import digest, load; tiny = load('demucs_unittest', 'cpu', '');"
        "print(tiny.recipe, digest(tiny._network))"
    )
    there = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert there == [here.recipe, digest(untrained())]
    assert here.stems == MODELS["demucs_unittest"].stems
    assert (here.device, here.precision, here.samplerate) == ("cpu", "exact", 44100)
    assert (here.segment, here.stride) == (88200, 66150)


def test_loading_the_untrained_model_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    load("demucs_unittest", "cpu", "")
    assert torch.equal(torch.rand(1), expected)


def test_other_weights_are_another_recipe() -> None:
    network = transformer()
    recipes = {DemucsSeparator(model, network, weights, "cpu").recipe for model in "ab" for weights in "cd"}
    assert len(recipes) == 4
    before = digest(network)
    torch.nn.init.zeros_(next(network.parameters()))
    assert digest(network) != before


def test_cuda_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load("demucs_unittest", "auto", "").device == "cpu"
    with pytest.raises(BadSettings, match="DEVICE is cuda, but"):
        load("demucs_unittest", "cuda", "")


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="medley weights htdemucs"):
        load("htdemucs", "cpu", str(tmp_path))
