"""HTDemucs' convolutional layers; values are (batch, channels, rows, positions) and lie in memory as channels_last.

The frequency branch has a row for each frequency and a position for each frame; the time branch has one row.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from functions.separate.int8 import gated
from functions.separate.norms import EPSILON, products, whole_norm
from functions.separate.products import (
    Convolution,
    Gated,
    Halves,
    Linear,
    Pair,
    Transposed,
    TransposedInPairs,
    in_two,
    is_coarse,
    weight_in_two,
)
from functions.separate.winograd import gated_convolutions

State = Mapping[str, Tensor]


class Encoder:
    """`demucs.hdemucs.HEncLayer`."""

    def __init__(self, state: State, stride: int, like: Tensor) -> None:
        weight = _over_two(state["conv.weight"])
        across = _across(weight, stride)
        self.stride = stride
        self.conv = Convolution(weight, state["conv.bias"], like, across, _padding(weight, across))
        self.residual = _residuals(state, like)
        self.rewrite = Gated(*(Linear(*half, like) for half in _halves(state, "rewrite")))

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[2] == 1:
            x = _channels_last(functional.pad(x, (0, -x.shape[-1] % self.stride)))
        y = self.conv(x, "gelu")
        for residual in self.residual:
            y = residual(y)
        return rows_of(self.rewrite(channels_of(y)))


class Decoder:
    """`demucs.hdemucs.HDecLayer`; the last one of a branch has no activation."""

    def __init__(self, state: State, stride: int, like: Tensor, *, last: bool) -> None:
        weight = _over_two(state["conv_tr.weight"])
        across = _across(weight, stride)
        self.then = "none" if last else "gelu"
        frequencies, cut = across[0] > 1, _padding(weight, across)
        self.conv: Transposed | TransposedInPairs
        if frequencies or like.is_cuda:
            self.conv = Transposed(weight, state["conv_tr.bias"], like, across, cut)
        else:
            self.conv = TransposedInPairs(weight, state["conv_tr.bias"], like, stride, max(cut))
        self.residual = _residuals(state, like, finely=last and frequencies and is_coarse(like))
        halves = [(_over_two(weight), bias) for weight, bias in _halves(state, "rewrite")]
        around = (halves[0][0].shape[2] // 2, halves[0][0].shape[3] // 2)
        # The last does not stand integers; those of the time branch would save too little for what they cost.
        make = gated if frequencies and not last else gated_convolutions
        self.rewrite = make(halves, like, around)

    def __call__(self, x: Tensor, skip: Tensor, length: int) -> Tensor:
        """`length` is how many positions there are to be; x is added to in place."""
        y = self.rewrite(x.add_(skip))
        for residual in self.residual:
            y = residual(y)
        return self.conv(y, self.then)[..., :length]


class Residual:
    """One of the branches of `demucs.demucs.DConv`, over the positions of each row, with the sum after it.

    Its second normalisation is not computed from its values: their mean and deviation in each row follow from the
    moments of what they are a linear function of, which has a sixteenth of the channels. So the normalisation is a part
    of that function, its factors two more channels.

    In bfloat16 the first convolution's bias is added, and normalised, in float32: what is quiet differs from it by less
    than bfloat16 tells apart. `finely` goes on so to the end: what is rounded there in the last layer of the frequency
    branch changes the result more than all other rounding (docs/decisions/2026-11-26-int8-products.md).
    """

    def __init__(self, state: State, dilation: int, like: Tensor, *, finely: bool = False) -> None:
        self.finely, self.dtype = finely, like.dtype
        between = like.float() if is_coarse(like) else like
        first = _over_two(state["0.weight"])
        self.bias = state["0.bias"].to(between)
        fused = self.bias if between is like else torch.zeros_like(self.bias)
        self.first = Convolution(first, fused, like, padding=(0, dilation), dilation=dilation)
        self.norm = (state["1.weight"].to(between), state["1.bias"].to(between))
        self._norms: dict[int, tuple[Tensor, Tensor]] = {}  # by positions: for each of them the same
        weight, bias = state["3.weight"].float().flatten(1), state["3.bias"].float()
        scale, shift = state["4.weight"].float(), state["4.bias"].float()
        both = torch.cat([weight, bias[:, None], torch.full_like(bias, -1)[:, None]], 1) * scale[:, None]
        layer_scale = state["6.scale"].float()
        value, gate = both.chunk(2)
        shift_value, shift_gate = shift.chunk(2)
        value = value * layer_scale[:, None]
        if finely:
            value, gate = weight_in_two(value, like.dtype), weight_in_two(gate, like.dtype)
        self.second = Gated(Linear(value, shift_value * layer_scale, like), Linear(gate, shift_gate, like))
        device = like.device
        self.mean_weight, self.mean_bias = weight.mean(0).to(device), bias.mean().to(device)
        self.squares = (weight.T @ weight / len(bias)).flatten().to(device)
        self.cross = (2 * (weight.T @ bias) / len(bias)).to(device)
        self.square_bias = bias.square().mean().to(device)

    def __call__(self, y: Tensor) -> Tensor:
        inner = self._activated(channels_of(self.first(y)))
        mean, factor = self._statistics(inner.float())
        ones = inner.new_ones(1, 1, 1).expand(*inner.shape[:2], 1)
        means = mean[:, None, None].to(inner).expand_as(ones)
        given = torch.cat([inner, ones, means], -1).mul_(factor[:, None, None].to(inner))
        branch = self.second(in_two(given, self.dtype) if self.finely else given)
        return y.add_(rows_of(branch.view(*channels_of(y).shape)))

    def _activated(self, inner: Tensor) -> Tensor:
        """The bias that is not in it yet, the first normalisation, with its weights in the same pass, and GELU."""
        if inner.dtype != self.bias.dtype:
            inner = self.bias + inner
        batch, rows, positions, channels = inner.shape
        if inner.is_cuda and rows == 1:
            return functional.gelu(whole_norm(inner[:, 0], *self.norm))
        inner = inner.reshape(batch * rows, positions * channels)
        if positions not in self._norms:
            weight, bias = self.norm
            self._norms[positions] = weight.repeat(positions), bias.repeat(positions)
        normed = functional.layer_norm(inner, inner.shape[1:], *self._norms[positions], EPSILON)
        inner = functional.gelu(normed.view(-1, positions, channels))
        return inner if self.finely else inner.to(self.dtype)

    def _statistics(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, and one over the deviation, of the second convolution of inner (rows, positions, channels)."""
        means = inner.mean(1)
        moments = products(inner).flatten(1) / inner.shape[1]
        mean = means @ self.mean_weight + self.mean_bias
        square = moments @ self.squares + means @ self.cross + self.square_bias
        return mean, torch.rsqrt(square - mean.square() + EPSILON)


def channels_of(x: Tensor) -> Tensor:
    """(batch, channels, rows, positions) as (batch, rows, positions, channels), in the same memory."""
    return x.permute(0, 2, 3, 1)


def rows_of(x: Tensor) -> Tensor:
    """And back."""
    return x.permute(0, 3, 1, 2)


def part_of(state: State, prefix: str) -> State:
    """The values below `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _over_two(weight: Tensor) -> Tensor:
    """A 1D convolution's weight as that of a 2D one over one row."""
    return weight[:, :, None] if weight.dim() == 3 else weight


def _across(weight: Tensor, stride: int) -> Pair:
    """`stride` along the dimension in which a kernel is long."""
    return (stride, 1) if weight.shape[2] > 1 else (1, stride)


def _padding(weight: Tensor, across: Pair) -> Pair:
    return (weight.shape[2] // 4, 0) if across[0] > 1 else (0, weight.shape[3] // 4)


def _halves(state: State, name: str) -> Halves:
    """Of a layer before a `glu`."""
    return list(zip(state[f"{name}.weight"].chunk(2), state[f"{name}.bias"].chunk(2), strict=True))


def _residuals(state: State, like: Tensor, *, finely: bool = False) -> list[Residual]:
    count = len({name.split(".")[2] for name in state if name.startswith("dconv.layers.")})
    return [Residual(part_of(state, f"dconv.layers.{n}."), 2**n, like, finely=finely) for n in range(count)]
