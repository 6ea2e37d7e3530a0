"""Networks that separate one segment at a time, and the ensembles that models are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from functions.separate.htdemucs import Forward


class Network(Protocol):
    """A network on a device. Lengths are in samples.

    One that waits for the GPU on its way says so by an attribute `recordable = False`: no CUDA graph is made of it, and
    none is tried, since a failed recording may leave PyTorch's memory in disorder.
    """

    segment: int  # it takes at most

    def seen(self, length: int) -> int:
        """How long a stretch of the song, around a segment of `length`, it wants to see."""

    def __call__(self, segments: Tensor) -> Tensor:
        """Normalised segments (batch, 2, seen) as stems (batch, stems, 2, seen), float32, both on its device.

        On a CPU it is called by two threads at once.
        """


@dataclass(frozen=True)
class Ensemble:
    """The networks of a model; `shares` says how much of each stem is each network's, (networks, stems).

    `weights` tells its weights from others of the same model, `precision` is the one it computes in: exact or fast.
    """

    stems: tuple[str, ...]  # those that medley/models.py says, in that order
    samplerate: int  # Hz: what medley/models.py says
    networks: Sequence[Network]
    shares: Sequence[Sequence[float]]
    weights: str
    precision: str = "exact"


# What an entry point of the group `medley.separators` names, by the name of the model: a model's ensemble on a device
# ("cpu" or "cuda") in a precision ("exact" or "fast"); it may be exact where fast is asked for, never the other way.
Maker = Callable[[str, str], Ensemble]


class Own:
    """An HTDemucs by our own forward."""

    def __init__(self, forward: Forward, segment: int) -> None:
        self.forward, self.segment = forward, segment

    def seen(self, length: int) -> int:
        return self.forward.length

    def __call__(self, segments: Tensor) -> Tensor:
        return self.forward(segments)


class Demucs:
    """Any network of demucs, by its own forward."""

    recordable = False  # hdemucs.pad1d, for one, compares what it made on the GPU

    def __init__(self, network: Any, device: str) -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.segment = int(network.samplerate * network.segment)

    def seen(self, length: int) -> int:
        """As in `demucs.apply.apply_model`."""
        wanted: int = self.network.valid_length(length) if hasattr(self.network, "valid_length") else length
        return wanted

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def __call__(self, segments: Tensor) -> Tensor:
        separated: Tensor = self.network(segments)
        return separated
