"""Small networks with fixed random weights, ensembles of them, and how well two results agree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from demucs.apply import BagOfModels, TensorChunk, apply_model
from demucs.demucs import Demucs as Waveform
from demucs.htdemucs import HTDemucs
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from functions.separate.devices import Cpu
from functions.separate.engine import Engine
from functions.separate.htdemucs import KLASS, Forward, shape_of
from functions.separate.loading import ensemble
from functions.separate.networks import Demucs, Ensemble
from functions.separate.products import State
from functions.separate.separator import Separator
from medley.audio import Mix
from medley.models import FOUR
from medley.parts import SCALE
from medley.separation import Separation

torch.set_num_threads(1)  # threads of networks this small only wait for one another

Audio = NDArray[np.float32]

EXACT, FAST = 100.0, 30.0  # dB
QUANTISED = 92.0  # dB that 24 bits at half amplitude leave at least, of the quietest stem here


def small(seed: int = 0, **options: Any) -> Any:
    """A network of the family, with half a second for a segment, whose branches all matter."""
    shape: dict[str, Any] = {"channels": 8, "nfft": 512, "depth": 3, "t_layers": 3, "t_heads": 2, "dconv_init": 0.3}
    given = {"sources": list(FOUR), "segment": Fraction(1, 2), "dconv_mode": 3, **shape, **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = HTDemucs(**given)
        for name, value in network.named_parameters():
            if name.endswith("gamma_1.scale") or name.endswith("gamma_2.scale"):
                value.data.fill_(0.5)
            if value.dim() == 1:  # biases, scales, norms: as they are made, many are the same for every channel
                value.data.mul_(0.6 + 0.8 * torch.rand(len(value))).add_(0.05 * torch.randn(len(value)))
    network.given = given
    return network.eval()


@dataclass
class Saved:
    """A network as `functions.separate.loading.File` reads it."""

    network: Any

    @property
    def about(self) -> dict[str, str]:
        return {"klass": KLASS}

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.network.given)

    @property
    def state(self) -> dict[str, torch.Tensor]:
        return dict(self.network.state_dict())


def own(network: Any, dtype: torch.dtype) -> Forward:
    """Our forward with a network's weights."""
    shape = shape_of(network.given)
    assert shape
    return Forward(shape, network.state_dict(), dtype)


def ours(*networks: Any, precision: str = "exact", shares: Any = None, segment: float | None = None) -> Ensemble:
    """Small networks by our own forward."""
    return ensemble([Saved(network) for network in networks], "cpu", precision, shares, segment)


def theirs(networks: Sequence[Any], shares: Any = None) -> Ensemble:
    """Any networks by demucs'."""
    stems = tuple(networks[0].sources)
    shares = shares or [[1.0] * len(stems) for _ in networks]
    return Ensemble(stems, 44100, [Demucs(network, "cpu") for network in networks], shares, "random")


def bag(networks: Sequence[Any], shares: Any = None) -> Any:
    """What demucs' apply_model takes."""
    return BagOfModels(list(networks), shares)


def agreement(reference: Any, result: Any) -> float:
    """dB, of the stem that agrees least; stems are the third dimension from the end."""
    reference, result = (np.asarray(each, np.float64) for each in (reference, result))
    assert reference.shape == result.shape
    over = tuple(axis for axis in range(reference.ndim) if axis != reference.ndim - 3)
    error = ((reference - result) ** 2).sum(over)
    return float(10 * np.log10(np.min((reference**2).sum(over) / np.maximum(error, 1e-30))))


def mixed(samples: Audio) -> Mix:
    """With mean and deviation of the mono mix, as demucs.api.Separator takes them."""
    mono = torch.from_numpy(samples).mean(0)
    return Mix(samples, samples.shape[-1], float(mono.mean()), float(mono.std()))


def on_our_grid(network: Any, mix: Mix, segment: int, stride: int) -> Audio:
    """apply_model's algorithm over the whole song, without the last segment where the one before covers it."""
    normalised = ((torch.from_numpy(mix.samples) - mix.mean) / (mix.deviation + 1e-8))[None]
    half = segment // 2
    weight = torch.cat([torch.arange(1, half + 1), torch.arange(segment - half, 0, -1)])
    weight = weight / weight.max()
    out, sum_weight = torch.zeros(len(network.sources), *mix.samples.shape), torch.zeros(mix.length)
    for offset in range(0, max(1, mix.length - segment + stride), stride):
        chunk = TensorChunk(normalised, offset, segment)
        result = apply_model(network, chunk, shifts=0, split=False)[0]
        out[..., offset : offset + segment] += weight[: chunk.length] * result
        sum_weight[offset : offset + segment] += weight[: chunk.length]
    audio: Audio = (out / sum_weight * (mix.deviation + 1e-8) + mix.mean).numpy()
    return audio


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


def song(length: int) -> Mix:
    """Noise that swells over a tone, off centre."""
    time = np.arange(length) / 44100
    noise = np.random.default_rng(length).standard_normal((2, length)) * np.minimum(time, 1)
    return mixed((0.1 * noise + 0.3 * np.sin(2 * np.pi * 220 * time) + 0.01).astype(np.float32))


def separator(of: Ensemble, shifts: int = 0, overlap: float = 0.25, on: Any = None) -> Separator:
    return Separator(of, on or Cpu(threads=2), Separation("test", shifts=shifts, overlap=overlap), "seed")


def separated(by: Separator, mix: Mix, first: int = 0) -> NDArray[np.float64]:
    """The song from part `first` on, (stems, 2, samples)."""
    parts = list(by.parts(mix, first))
    bounds = [by.grid(mix.length).part_bounds(k) for k in range(first, by.grid(mix.length).count)]
    assert [part.shape for part in parts] == [(len(by.stems), 2, end - start) for start, end in bounds]
    assert all(part.dtype == np.int32 for part in parts)
    return np.concatenate(parts, axis=-1) / SCALE


def branched(state: State, x: Tensor, dilation: int) -> Tensor:
    """What `demucs.demucs.DConv` adds to x (rows, channels, positions)."""
    given = {name: each.double() for name, each in state.items()}
    inner = functional.conv1d(x.double(), given["0.weight"], given["0.bias"], padding=dilation, dilation=dilation)
    inner = functional.gelu(functional.group_norm(inner, 1, given["1.weight"], given["1.bias"]))
    outer = functional.conv1d(inner, given["3.weight"], given["3.bias"])
    outer = functional.glu(functional.group_norm(outer, 1, given["4.weight"], given["4.bias"]), 1)
    return outer * given["6.scale"][:, None]
