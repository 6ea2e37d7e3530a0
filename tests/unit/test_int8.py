"""Layers in 8-bit integers beside the same in float32; where a processor has none of the kind, they are in bfloat16."""

import pytest
import torch
from torch import Tensor

from functions.separate import int8
from functions.separate.attention import Layer
from functions.separate.int8 import GatedConvolutions8, Linear8, gated, linear, quantised
from functions.separate.products import Gated, Linear
from functions.separate.winograd import gated_convolutions
from tests.networks import agreement, own, small

EXACT, FAST = torch.empty(0), torch.empty(0, dtype=torch.bfloat16)
CLOSE = 35.0  # dB; 8 bits of what is normally distributed leave about 40
PADDING = (1, 1)
HALF = 0.501  # of a step


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def real(x: int8.Quantised) -> Tensor:
    return (x.values.float() - x.zero) * x.scale


@pytest.mark.parametrize("piece", [1, 100, 1 << 18])
def test_values_are_no_further_off_than_half_a_step(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "PIECE", piece)
    x = values(2, 37, 24).bfloat16()
    found = quantised(x)
    assert found.scale == (x.float().max() - x.float().min()) / 254
    assert (real(found) - x.float()).abs().max() <= found.scale * HALF


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_greatest_value_keeps_its_sign(sign: int) -> None:
    x = torch.full((1, 3, 4), sign * 5.0, dtype=torch.bfloat16)
    assert torch.allclose(real(quantised(x)), x.float())


@pytest.mark.parametrize("length", [1, 31, 64])  # by vectors, and what is left of them
@pytest.mark.parametrize("ratio", [0.01, 1.0, 3.0, 5.0])
def test_no_value_goes_over_the_edge(length: int, ratio: float) -> None:
    """At the ends, with zero just between two steps: one in thousands is rounded to where it should not be."""
    for high in range(128, 256):
        x = torch.stack([torch.full((length,), -ratio * high), torch.full((length,), float(high))])[None].bfloat16()
        found = quantised(x)
        assert (real(found) - x).abs().max() <= found.scale * HALF


def test_steps_are_where_values_are() -> None:
    found = quantised(torch.tensor([[[-0.17, 0.0, 10.0]]], dtype=torch.bfloat16))
    assert found.scale < 10.2 / 250
    assert real(found)[0, 0, 1] == 0


def test_silence_is_silence() -> None:
    assert not real(quantised(torch.zeros(1, 3, 4, dtype=torch.bfloat16))).any()
    halves = [(values(4, 4, 3, 3), torch.zeros(4)), (values(4, 4, 3, 3), torch.zeros(4))]
    nothing = torch.zeros(1, 4, 5, 6, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    assert not gated(halves, FAST, PADDING)(nothing).any()


@pytest.mark.parametrize("then", ["none", "gelu"])
def test_a_linear_layer_is_close_to_float32(then: str) -> None:
    weight, bias, x = values(48, 64), values(48, seed=1), values(1, 100, 64, seed=2)
    layer = linear(weight, bias, FAST)
    assert agreement(Linear(weight, bias, EXACT)(x, then), layer(layer.prepared(x.bfloat16()), then).float()) > CLOSE


@pytest.mark.parametrize(("loud", "at_least"), [(1, CLOSE), (1000, 50)])
def test_what_is_added_to_it_keeps_its_16_bits(loud: float, at_least: float) -> None:
    weight, bias, x = values(48, 64), values(48, seed=1), values(1, 100, 64, seed=2)
    other = loud * values(1, 100, 48, seed=3).bfloat16().float()
    layer = linear(weight, bias, FAST)
    found = layer.plus(layer.prepared(x.bfloat16()), other.bfloat16())
    assert agreement(Linear(weight, bias, EXACT).plus(x, other), found.float()) > at_least


def test_an_output_of_small_weights_is_as_close_as_the_others() -> None:
    weight, bias, x = values(48, 64), torch.zeros(48), values(1, 100, 64, seed=2)
    weight[0] *= 0.001
    layer = linear(weight, bias, FAST)
    wanted, found = Linear(weight, bias, EXACT)(x), layer(layer.prepared(x.bfloat16())).float()
    assert agreement(wanted[..., :1], found[..., :1]) > CLOSE


@pytest.mark.parametrize("rows", [1, 3, 7, 8])
@pytest.mark.parametrize("piece", [1, 2 * 9 * 16, 1 << 18], ids=["a row", "two rows", "all"])
def test_a_gated_convolution_is_close_to_float32(rows: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every number of rows, and however many are taken at a time; its borders see zeros."""
    monkeypatch.setattr(int8, "PIECE", piece)
    halves = [(values(16, 16, 3, 3, seed=n) / 12, values(16, seed=n + 2)) for n in range(2)]
    x = values(2, 16, rows, 9, seed=4).contiguous(memory_format=torch.channels_last)
    wanted, found = gated_convolutions(halves, EXACT, PADDING)(x), gated(halves, FAST, PADDING)(x.bfloat16())
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert agreement(wanted, found.float()) > CLOSE
    assert agreement(wanted[:, :, [0, -1]], found[:, :, [0, -1]].float()) > CLOSE


def test_quiet_rows_have_a_scale_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "PIECE", 1)
    halves = [(values(16, 16, 3, 3, seed=n) / 12, torch.zeros(16)) for n in range(2)]
    x = values(1, 16, 8, 9, seed=4).contiguous(memory_format=torch.channels_last)
    x[:, :, 4:] *= 0.001
    wanted, found = gated_convolutions(halves, EXACT, PADDING)(x), gated(halves, FAST, PADDING)(x.bfloat16())
    assert agreement(wanted[:, :, 5:], found[:, :, 5:].float()) > CLOSE


def test_only_what_the_processor_is_quicker_at_is_in_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, bias = values(8, 8), values(8)
    halves = [(values(8, 8, 3, 3), bias)] * 2
    assert isinstance(linear(weight, bias, EXACT), Linear)
    assert not isinstance(gated(halves, EXACT, PADDING), GatedConvolutions8)
    has = int8.is_quicker(FAST)
    assert isinstance(linear(weight, bias, FAST), Linear8) == has
    assert isinstance(gated(halves, FAST, PADDING), GatedConvolutions8) == has
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert isinstance(linear(weight, bias, FAST), Linear)
    assert isinstance(gated(halves, FAST, PADDING), Gated)


def test_of_a_network_the_layers_are_that_were_chosen() -> None:
    has = int8.is_quicker(FAST)
    forward = own(small(depth=4, nfft=4096), torch.bfloat16)
    layer: Layer = forward.layers[0]
    assert all(
        isinstance(each, Linear8) == has
        for each in (layer.query, layer.key, layer.value, layer.out, layer.first, layer.second)
    )
    assert [isinstance(each.rewrite, GatedConvolutions8) for each in forward.decoder] == [has, has, has, False]
    assert not any(isinstance(each.rewrite, GatedConvolutions8) for each in forward.tdecoder)
    assert not any(isinstance(each, Linear8) for each in forward._between.values())
