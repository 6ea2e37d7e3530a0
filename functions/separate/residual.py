"""The branches of Demucs' `DConv`, which are added to what they are of; by operators, or by a compiled kernel."""

import torch
from torch import Tensor
from torch.nn import functional

from functions.separate import kernels
from functions.separate.kernels import MOST_INNER, VECTOR, Branch
from functions.separate.norms import EPSILON, products, whole_norm
from functions.separate.products import (
    Convolution,
    Gated,
    Linear,
    State,
    channels_of,
    in_two,
    is_coarse,
    rows_of,
    weight_in_two,
)


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
        first = state["0.weight"][:, :, None]
        self.bias = state["0.bias"].to(between)
        fused = self.bias if between is like else torch.zeros_like(self.bias)
        self.first = Convolution(first, fused, like, padding=(0, dilation), dilation=dilation)
        self.norm = (state["1.weight"].to(between), state["1.bias"].to(between))
        self._norms: dict[int, tuple[Tensor, Tensor]] = {}  # by positions: for each of them the same
        weight, bias = state["3.weight"].double().flatten(1), state["3.bias"].double()
        scale, shift = state["4.weight"].float(), state["4.bias"].float()
        both = torch.cat([weight, bias[:, None], torch.full_like(bias, -1)[:, None]], 1).float() * scale[:, None]
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
        """Mean, and one over the deviation, of the second convolution of inner (rows, positions, channels), float64."""
        means = inner.mean(1, dtype=torch.float64)
        moments = products(inner).flatten(1) / inner.shape[1]
        mean = means @ self.mean_weight + self.mean_bias
        square = moments @ self.squares + means @ self.cross + self.square_bias
        return mean, torch.rsqrt(square - mean.square() + EPSILON)


class ResidualInOne:
    """`Residual`, by a kernel: each row passes through all of it while it is in the cache."""

    def __init__(self, state: State, dilation: int) -> None:
        hidden, channels = state["0.weight"].shape[:2]
        wanted = {"3.weight": (2 * channels, hidden, 1), "3.bias": (2 * channels,), "6.scale": (channels,)}
        wanted |= dict.fromkeys(("0.bias", "1.weight", "1.bias"), (hidden,))
        wanted |= dict.fromkeys(("4.weight", "4.bias"), (2 * channels,))
        for name, shape in wanted.items():
            kernels.fit(state[name], *shape)
        width = hidden + -hidden % VECTOR
        layer_scale = state["6.scale"].double()
        scales = torch.cat([layer_scale, torch.ones_like(layer_scale)])  # of values; gates have none
        factor = state["4.weight"].double() * scales
        weight, bias = state["3.weight"].double().flatten(1), state["3.bias"].double()
        held = {
            "first": _wider(state["0.weight"].permute(2, 1, 0), width),
            "first_bias": _wider(state["0.bias"], width),
            "scale": _wider(state["1.weight"], width),
            "shift": _wider(state["1.bias"], width),
            "second": kernels.panels(kernels.in_turns((weight * factor[:, None]).T)),
            "second_bias": kernels.in_turns(bias * factor),
            "second_mean": kernels.in_turns(-factor),
            "second_shift": kernels.in_turns(state["4.bias"].double() * scales),
            "mean": weight.mean(0),
            "cross": 2 * (weight.T @ bias) / len(bias),
            "squares": weight.T @ weight / len(bias),
        }
        self._held = {name: values.float().contiguous() for name, values in held.items()}
        numbers = float(bias.mean()), float(bias.square().mean()), EPSILON
        at = [values.data_ptr() for values in self._held.values()]
        self._branch = Branch(*at, *numbers, channels, hidden, width, dilation)

    def __call__(self, y: Tensor) -> Tensor:
        return rows_of(kernels.residual(channels_of(y), self._branch))


def residual(state: State, dilation: int, like: Tensor, *, finely: bool = False) -> Residual | ResidualInOne:
    """By the kernel where it can be, and that is quicker."""
    hidden, channels, size = state["0.weight"].shape
    if kernels.ready(like) and size == 3 and channels % VECTOR == 0 and hidden <= MOST_INNER:
        return ResidualInOne(state, dilation)
    return Residual(state, dilation, like, finely=finely)


def _wider(values: Tensor, width: int) -> Tensor:
    """With zeros at the end of the last dimension."""
    return functional.pad(values, (0, width - values.shape[-1]))
