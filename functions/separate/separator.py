"""The network that separates a song, one segment at a time, by demucs' own code."""

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from demucs.apply import BagOfModels, TensorChunk, apply_model
from demucs.hf import load_safetensors_model
from demucs.pretrained import get_model
from demucs.utils import center_trim
from torch.nn import functional

from functions.separate.allocator import keep_memory
from functions.separate.grid import Audio, Grid
from functions.separate.htdemucs import Forward, fits
from functions.separate.weights import UNTRAINED, WeightsMissing, find, folder_of
from medley.settings import BadSettings

OVERLAP = 0.25  # demucs' default
EPSILON = 1e-8  # demucs.api.Separator.separate_tensor adds it to the deviation

UNTRAINED_SEED = 0
UNTRAINED_SEGMENT = 2  # s; its own 40 s would make tests long


class Separator(Protocol):
    """A model on a device. Lengths are in samples."""

    model: str
    stems: tuple[str, ...]
    samplerate: int  # Hz
    segment: int  # 0: the model takes songs whole
    stride: int  # 0 likewise
    device: str  # cpu, cuda: what "auto" took
    precision: str  # "exact": 32 bit floats throughout; "fast": the layers in bfloat16
    recipe: str  # 8 hex digits: separators of equal recipe give parts that fit together

    def grid(self, length: int) -> Grid:
        """The segments of a song of `length` samples."""

    def separate(self, mix: Audio, mean: float, deviation: float, k: int) -> Audio:
        """Segment `k` of every stem, (stems, 2, samples of the segment).

        `mix` is the whole song, (2, length), and may be a memmap; `mean` and `deviation` are those of its mono mix.
        """


def load(model: str, device: str, weights_dir: str, precision: str = "exact") -> Separator:
    """The separator of a model of `medley.models`, on "auto", "cpu" or "cuda"; needs no network.

    `precision` is "exact", "fast", or "auto": fast where the processor computes in bfloat16. Whatever is no HTDemucs,
    or runs on a GPU, goes through demucs itself, which is exact.

    Raises WeightsMissing where its weights are not in `weights_dir`, BadSettings where there is no such device.
    """
    keep_memory()
    device = _device(device)
    if model == UNTRAINED:
        return DemucsSeparator(model, _untrained(), f"seed {UNTRAINED_SEED}", device)
    network = _trained(model, folder_of(weights_dir))
    weights = digest(network)
    if device == "cpu" and all(fits(each) for each in network.models) and _segment(network):
        fast = _has_bf16() if precision == "auto" else precision == "fast"
        return ForwardSeparator(model, network, weights, fast=fast)
    return DemucsSeparator(model, network, weights, device)


class DemucsSeparator:
    """A network of demucs, or a bag of them. `weights` tells its weights from others of the same model."""

    precision = "exact"

    def __init__(self, model: str, network: Any, weights: str, device: str) -> None:
        self.model = model
        self.stems = tuple(network.sources)
        self.samplerate = int(network.samplerate)
        self.segment = _segment(network)
        self.stride = int((1 - OVERLAP) * self.segment)
        self.device = device
        self.recipe = _recipe(
            model=model, weights=weights, precision=self.precision, segment=self.segment, stride=self.stride
        )
        self._network = network.to(device).eval()

    def grid(self, length: int) -> Grid:
        return Grid(length, self.segment or length, self.stride or length)

    def separate(self, mix: Audio, mean: float, deviation: float, k: int) -> Audio:
        start, end = self.grid(mix.shape[-1]).segment_bounds(k)
        chunk = _NormalisedChunk(mix, mean, deviation + EPSILON, start, end - start)
        # A network that takes songs whole is still cut by demucs itself, each of a bag in its own way.
        whole = not self.segment
        separated = apply_model(
            self._network,
            chunk.padded(chunk.length) if whole else chunk,
            shifts=0,
            split=whole,
            overlap=OVERLAP,
            device=self.device,
        )
        audio: Audio = (separated[0] * chunk.deviation + mean).cpu().numpy()
        return audio


class ForwardSeparator(DemucsSeparator):
    """A bag of HTDemucs networks on a CPU, run by our own forward."""

    def __init__(self, model: str, network: Any, weights: str, *, fast: bool) -> None:
        self.precision = "fast" if fast else "exact"
        super().__init__(model, network, weights, "cpu")
        dtype = torch.bfloat16 if fast else torch.float32
        self._forwards = [Forward(each, dtype) for each in network.models]
        weight = torch.tensor(network.weights)  # (networks, stems): how much of each stem is whose
        self._shares = (weight / weight.sum(0))[..., None, None]

    def separate(self, mix: Audio, mean: float, deviation: float, k: int) -> Audio:
        start, end = self.grid(mix.shape[-1]).segment_bounds(k)
        chunk = _NormalisedChunk(mix, mean, deviation + EPSILON, start, end - start)
        padded = chunk.padded(self.segment)
        separated = center_trim(self._separated(padded), chunk.length)
        audio: Audio = (separated[0] * chunk.deviation + mean).numpy()
        return audio

    def _separated(self, padded: torch.Tensor) -> torch.Tensor:
        """The stems of a whole segment, each from the networks that have a share in it."""
        total = torch.zeros(())
        for forward, share in zip(self._forwards, self._shares, strict=True):
            total = total + forward(padded) * share
        return total


class _NormalisedChunk(TensorChunk):  # type: ignore[misc]  # demucs is not typed
    """A TensorChunk of the normalised song that reads, and normalises, only what the network is given of it."""

    def __init__(self, mix: Audio, mean: float, deviation: float, offset: int, length: int) -> None:
        # Not TensorChunk's own: that one wants the whole song as a tensor.
        self.mix, self.mean, self.deviation = mix, mean, deviation
        self.offset, self.length = offset, length
        self.device = torch.device("cpu")

    @property
    def shape(self) -> list[int]:
        return [1, self.mix.shape[0], self.length]

    def padded(self, target_length: int) -> torch.Tensor:
        """As TensorChunk.padded: the song around the chunk, and zeros before its beginning and after its end."""
        start = self.offset - (target_length - self.length) // 2
        end = start + target_length
        first, last = max(0, start), min(end, self.mix.shape[-1])
        audio = torch.tensor(self.mix[None, :, first:last])
        return functional.pad((audio - self.mean) / self.deviation, (first - start, end - last))


def digest(network: Any) -> str:
    """SHA-256 over a network's weights as they are used, whatever file they came from."""
    sha256 = hashlib.sha256(json.dumps(getattr(network, "weights", None)).encode())  # those of a bag's networks
    for name, value in sorted(network.state_dict().items()):
        sha256.update(name.encode())
        sha256.update(value.cpu().contiguous().numpy().data)
    return sha256.hexdigest()


def _recipe(**what: str | int) -> str:
    canonical = json.dumps(what, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def _segment(network: Any) -> int:
    """The length of the segments of a network, in samples; 0 for a bag whose networks want different ones."""
    networks = network.models if isinstance(network, BagOfModels) else [network]
    lengths = {int(each.samplerate * each.segment) for each in networks}
    return lengths.pop() if len(lengths) == 1 else 0


def _device(device: str) -> str:
    """What to compute on, for the setting DEVICE."""
    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise BadSettings("DEVICE is cuda, but PyTorch finds no NVIDIA GPU here; set it to cpu or auto")
    if device == "cpu" or not found:
        return "cpu"
    # By default convolutions round to TF32, which leaves 52 dB of agreement.
    torch.backends.fp32_precision = "ieee"
    return "cuda"


def _has_bf16() -> bool:
    """Whether the processor itself computes in bfloat16: where it does not, that is a hundred times slower."""
    cpu: Any = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


def _trained(model: str, folder: Path) -> Any:
    """As `demucs.hf.get_hf_model`, from `folder` and without asking the hub."""
    weights = find(model, folder)
    if weights is None:
        raise WeightsMissing(f"the weights of {model} are not in {folder}; get them by `medley weights {model}`")
    if model.endswith("_q") and importlib.util.find_spec("diffq") is None:
        raise BadSettings(f"{model} is quantized and needs the package diffq")
    bag = yaml.safe_load(weights.definition.read_text())
    networks = [load_safetensors_model(path) for path in weights.networks]
    return BagOfModels(networks, bag.get("weights"), bag.get("segment"))


def _untrained() -> Any:
    """Demucs' tiny model for tests, with the same random weights in every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        network = get_model(UNTRAINED)
    network.segment = UNTRAINED_SEGMENT
    return network
