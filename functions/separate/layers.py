"""HTDemucs' convolutional layers; values are (batch, channels, rows, positions) and lie in memory as channels_last.

The frequency branch has a row for each frequency and a position for each frame; the time branch has one row.
"""

import torch
from torch import Tensor
from torch.nn import functional

from functions.separate.int8 import gated
from functions.separate.panels import gated_linear
from functions.separate.products import (
    Convolution,
    Halves,
    Pair,
    State,
    Transposed,
    TransposedInPairs,
    channels_of,
    is_coarse,
    rows_of,
)
from functions.separate.residual import Residual, ResidualInOne, residual
from functions.separate.winograd import InFours, gated_convolutions, in_fours


class Encoder:
    """`demucs.hdemucs.HEncLayer`."""

    def __init__(self, state: State, stride: int, like: Tensor) -> None:
        self.stride = stride
        self.conv = _strided(state["conv.weight"], state["conv.bias"], like, stride)
        self.branches = _branches(state, like)
        self.rewrite = gated_linear(_halves(state, "rewrite"), like)

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[2] == 1:
            x = _channels_last(functional.pad(x, (0, -x.shape[-1] % self.stride)))
        y = self.conv(x, "gelu")
        for branch in self.branches:
            y = branch(y)
        return rows_of(self.rewrite(channels_of(y)))


class Decoder:
    """`demucs.hdemucs.HDecLayer`; the last one of a branch has no activation."""

    def __init__(self, state: State, stride: int, like: Tensor, *, last: bool) -> None:
        self.then = "none" if last else "gelu"
        frequencies = state["conv_tr.weight"].dim() == 4
        self.conv = _transposed(state["conv_tr.weight"], state["conv_tr.bias"], like, stride)
        self.branches = _branches(state, like, finely=last and frequencies and is_coarse(like))
        halves = [(_over_two(weight), bias) for weight, bias in _halves(state, "rewrite")]
        around = (halves[0][0].shape[2] // 2, halves[0][0].shape[3] // 2)
        # The last does not stand integers; those of the time branch would save too little for what they cost.
        make = gated if frequencies and not last else gated_convolutions
        self.rewrite = make(halves, like, around)

    def __call__(self, x: Tensor, skip: Tensor, length: int) -> Tensor:
        """`length` is how many positions there are to be; x is added to in place."""
        y = self.rewrite(x.add_(skip))
        for branch in self.branches:
            y = branch(y)
        return self.conv(y, self.then)[..., :length]


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


def _strided(weight: Tensor, bias: Tensor, like: Tensor, stride: int) -> Convolution | InFours:
    if quicker := in_fours(weight, bias, like, stride):
        return quicker
    weight = _over_two(weight)
    across = _across(weight, stride)
    return Convolution(weight, bias, like, across, _padding(weight, across))


def _transposed(weight: Tensor, bias: Tensor, like: Tensor, stride: int) -> Transposed | TransposedInPairs | InFours:
    if quicker := in_fours(weight, bias, like, stride, transposed=True):
        return quicker
    weight = _over_two(weight)
    across = _across(weight, stride)
    cut = _padding(weight, across)
    if across[0] > 1 or like.is_cuda:
        return Transposed(weight, bias, like, across, cut)
    return TransposedInPairs(weight, bias, like, stride, max(cut))


def _halves(state: State, name: str) -> Halves:
    """Of a layer before a `glu`."""
    return list(zip(state[f"{name}.weight"].chunk(2), state[f"{name}.bias"].chunk(2), strict=True))


def _branches(state: State, like: Tensor, *, finely: bool = False) -> list[Residual | ResidualInOne]:
    count = len({name.split(".")[2] for name in state if name.startswith("dconv.layers.")})
    return [residual(part_of(state, f"dconv.layers.{n}."), 2**n, like, finely=finely) for n in range(count)]
