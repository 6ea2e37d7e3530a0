"""What of HTDemucs' layers is computed more finely than in bfloat16."""

import pytest
import torch
from torch import Tensor

from functions.separate.products import (
    Linear,
    State,
    Transposed,
    TransposedInPairs,
    channels_of,
    in_two,
    weight_in_two,
)
from functions.separate.residual import Residual
from tests.networks import agreement, branched, own, small

CHANNELS, INNER = 16, 4


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def state() -> State:
    """A residual branch's, the biases of which are large beside what comes from quiet values."""
    return {
        "0.weight": values(INNER, CHANNELS, 3) / 7,
        "0.bias": values(INNER, seed=1),
        "1.weight": torch.ones(INNER),
        "1.bias": torch.zeros(INNER),
        "3.weight": values(2 * CHANNELS, INNER, 1, seed=2),
        "3.bias": values(2 * CHANNELS, seed=3),
        "4.weight": torch.ones(2 * CHANNELS),
        "4.bias": torch.zeros(2 * CHANNELS),
        "6.scale": torch.ones(CHANNELS),
    }


def between(x: Tensor, dtype: torch.dtype, *, finely: bool = False) -> Tensor:
    """What is between the two convolutions of a residual branch over x."""
    residual = Residual(state(), 1, torch.empty(0, dtype=dtype), finely=finely)
    return residual._activated(channels_of(residual.first(x.to(dtype))))


def varied(found: Tensor) -> Tensor:
    """Less the mean over the positions: the part of it that is not there in silence."""
    return found.float() - found.float().mean(1, keepdim=True)


@pytest.mark.parametrize("finely", [False, True])
def test_what_is_quiet_beside_a_bias_is_not_rounded_away(finely: bool) -> None:
    x = 0.02 * values(1, CHANNELS, 3, 200, seed=4).bfloat16().float()
    x = x.contiguous(memory_format=torch.channels_last)
    wanted, found = between(x, torch.float32), between(x, torch.bfloat16, finely=finely)
    assert found.dtype == (torch.float32 if finely else torch.bfloat16)
    assert agreement(varied(wanted), varied(found)) > (45 if finely else 25)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["exact", "fast"])
def test_the_last_layer_of_the_frequencies_goes_on_finely(dtype: torch.dtype, plain: None) -> None:
    forward = own(small(), dtype)
    layers = [layer for branch in (forward.encoder, forward.tencoder, forward.tdecoder) for layer in branch]
    assert not any(residual.finely for layer in [*layers, *forward.decoder[:-1]] for residual in layer.branches)
    assert all(residual.finely == (dtype == torch.bfloat16) for residual in forward.decoder[-1].branches)


def test_numbers_in_two_are_multiplied_nearly_as_in_float32() -> None:
    weight, bias, x = values(48, 64), torch.zeros(48), values(100, 64, seed=2)
    wanted = x @ weight.T
    layer = Linear(weight_in_two(weight, torch.bfloat16), bias, torch.empty(0, dtype=torch.bfloat16))
    # What comes out is rounded to 16 bits: of a sum that nearly vanishes the remainders are what is left.
    assert agreement(wanted, in_two(x, torch.bfloat16).float() @ layer.weight.float().T) > 85
    assert agreement(wanted, layer(in_two(x, torch.bfloat16)).float()) > 50


@pytest.mark.parametrize("columns", [1, 2, 7])
@pytest.mark.parametrize("then", ["none", "gelu"])
def test_a_transposed_convolution_is_one_of_pairs(columns: int, then: str) -> None:
    weight, bias, like = values(CHANNELS, INNER, 1, 8), values(INNER, seed=1), torch.empty(0)
    x = values(2, CHANNELS, 1, columns).contiguous(memory_format=torch.channels_last)
    wanted = Transposed(weight, bias, like, (1, 4), (0, 2))(x, then)
    found = TransposedInPairs(weight, bias, like, 4, 2)(x, then)
    assert found.shape == wanted.shape == (2, INNER, 1, 4 * columns)
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("loud", [0.0, 1.0, 1000.0])
def test_a_click_in_silence_keeps_the_statistics_of_many_positions(loud: float) -> None:
    """Nearly all are alike: each rounding of their sums, in one direction, is more than what they differ by."""
    x = torch.zeros(1, CHANNELS, 1, 80_000)
    x[..., 40_000] = loud * values(1, CHANNELS, 1)
    found = Residual(state(), 1, torch.empty(0))(x.clone()) - x
    assert agreement(branched(state(), x[:, :, 0], 1), found[:, :, 0]) > 120
