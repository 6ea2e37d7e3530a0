"""Our forward of HTDemucs beside demucs' own, on small networks with fixed random weights."""

from fractions import Fraction
from typing import Any

import pytest
import torch
from demucs.htdemucs import HTDemucs

from functions.separate import products
from functions.separate.htdemucs import Forward, shape_of
from tests.networks import EXACT, FAST, agreement, own, small

NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "wider between the branches": {"bottom_channels": 48},
    "deeper": {"depth": 4, "nfft": 4096},
    "without embedded frequencies": {"freq_emb": 0},
    "cross attention first": {"t_cross_first": True},
    "another embedding": {"emb_scale": 3, "freq_emb": 0.7, "t_max_period": 500.0, "t_weight_pos_embed": 0.3},
    "six stems": {"sources": [*"abcdef"]},
    "a length of no whole frames": {"segment": Fraction(20001, 44100)},
}
COMPUTED = {
    "exact": (torch.float32, EXACT, "plain"),
    "exact, compiled": (torch.float32, EXACT, "compiled"),
    "fast": (torch.bfloat16, FAST, "plain"),
}


def noise(length: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 2, length, generator=torch.Generator().manual_seed(1)) * 0.2


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(("dtype", "at_least", "layers"), COMPUTED.values(), ids=COMPUTED)
def test_it_is_demucs_forward(
    options: dict[str, Any], dtype: torch.dtype, at_least: float, layers: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(layers)
    network = small(**options)
    forward = own(network, dtype)
    mix = noise(forward.length, batch=2)
    with torch.no_grad():
        assert agreement(network(mix), forward(mix)) >= at_least


def test_it_is_the_same_where_there_is_no_onednn(plain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "ONEDNN", None)
    network = small()
    mix = noise(22050, batch=2)
    with torch.no_grad():
        assert agreement(network(mix), own(network, torch.float32)(mix)) >= EXACT


def test_it_is_nearly_the_same_where_onednn_takes_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors with AVX2 alone."""
    monkeypatch.setattr(products, "HAS_BFLOAT16", False)
    network = small()
    mix = noise(22050, batch=2)
    with torch.no_grad():
        assert agreement(network(mix), own(network, torch.bfloat16)(mix)) >= FAST


def test_a_batch_is_separated_like_each_alone() -> None:
    forward = own(small(), torch.float32)
    mix = noise(22050, batch=3)
    assert agreement(torch.cat([forward(each[None]) for each in mix]), forward(mix)) >= EXACT


def test_silence_stays_silent() -> None:
    network = small()
    with torch.no_grad():
        assert torch.allclose(own(network, torch.float32)(torch.zeros(1, 2, 22050)), network(torch.zeros(1, 2, 22050)))


@pytest.mark.parametrize(
    "options",
    [
        {"t_norm_first": False},
        {"t_emb": "scaled"},
        {"cac": False},
        {"multi_freqs": [0.5]},
        {"norm_starts": 2},
        {"depth": 6},
        {"dconv_mode": 1},
        {"t_layers": 0},
    ],
    ids=str,
)
def test_it_leaves_to_demucs_what_it_does_not_know(options: dict[str, Any]) -> None:
    usual = {"sources": [*"abcd"], "dconv_mode": 3}
    assert shape_of(usual)
    assert shape_of(usual | options) is None


def test_what_it_knows_are_arguments_of_demucs_class() -> None:
    network = HTDemucs([*"abcd"], dconv_mode=3, channels=8)
    assert isinstance(
        Forward(shape_of({"sources": [*"abcd"], "dconv_mode": 3}), network.state_dict(), torch.float32), Forward
    )  # type: ignore[arg-type]
