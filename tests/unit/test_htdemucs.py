"""Our forward of HTDemucs beside demucs' own, on small networks with fixed random weights."""

import copy
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from demucs.apply import BagOfModels
from demucs.htdemucs import HTDemucs

from functions.separate.htdemucs import Forward, fits
from functions.separate.separator import DemucsSeparator, ForwardSeparator

SOURCES = ["drums", "bass", "other", "vocals"]
EXACT, FAST = 100.0, 30.0  # dB


def small(seed: int = 0, **options: Any) -> Any:
    """A network of the family, with half a second for a segment, whose branches all matter."""
    shape: dict[str, Any] = {"channels": 8, "nfft": 512, "depth": 3, "t_layers": 3, "t_heads": 2, "dconv_init": 0.3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = HTDemucs(SOURCES, segment=Fraction(1, 2), dconv_mode=3, **shape | options)
        for name, value in network.named_parameters():
            if name.endswith("gamma_1.scale") or name.endswith("gamma_2.scale"):
                value.data.fill_(0.5)
    return network.eval()


NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "wider between the branches": {"bottom_channels": 48},
    "deeper": {"depth": 4, "nfft": 4096},
    "without embedded frequencies": {"freq_emb": 0},
    "cross attention first": {"t_cross_first": True},
}


def noise(length: int, batch: int = 1) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(1).standard_normal((batch, 2, length)).astype(np.float32)) * 0.2


def agreement(reference: Any, result: Any) -> float:
    """dB, of the worst stem."""
    over = tuple(axis for axis in range(reference.ndim) if axis != reference.ndim - 3)
    error = ((reference - result) ** 2).sum(over)
    return float(10 * np.log10(np.min(np.asarray((reference**2).sum(over) / np.maximum(error, 1e-30)))))


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(("dtype", "at_least"), [(torch.float32, EXACT), (torch.bfloat16, FAST)], ids=["exact", "fast"])
def test_it_is_demucs_forward(options: dict[str, Any], dtype: torch.dtype, at_least: float) -> None:
    network = small(**options)
    mix = noise(22050, batch=2)
    with torch.no_grad():
        own = network(mix).numpy()
    assert fits(network)
    assert agreement(own, Forward(copy.deepcopy(network), dtype)(mix).numpy()) >= at_least


@pytest.mark.parametrize(
    "options", [{"t_norm_first": False}, {"t_emb": "scaled"}, {"cac": False, "use_train_segment": True}]
)
def test_it_leaves_to_demucs_what_it_does_not_know(options: dict[str, Any]) -> None:
    assert not fits(small(**options))


WEIGHTS: dict[str, list[list[float]]] = {
    "one stem each": [[1, 0, 0, 0], [0, 1, 1, 1]],
    "mixed": [[1, 2, 0.5, 0], [1, 1, 0.5, 3]],
}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("length", [4410, 22050, 22051, 60000])
def test_a_bag_is_demucs_own(weights: list[list[float]], length: int) -> None:
    bag = BagOfModels([small(0), small(1)], weights)
    own = DemucsSeparator("test", copy.deepcopy(bag), "", "cpu")
    ours = ForwardSeparator("test", bag, "", fast=False)
    mix = noise(length)[0].numpy() + 0.01
    for k in range(own.grid(length).count):
        assert agreement(own.separate(mix, 0.01, 0.2, k), ours.separate(mix, 0.01, 0.2, k)) >= EXACT


def test_parts_of_different_precision_never_meet() -> None:
    recipes = {ForwardSeparator("test", BagOfModels([small()]), "", fast=fast).recipe for fast in (True, False)}
    assert len(recipes) == 2
