"""Layers whose products are of 8-bit integers, on a CPU that multiplies those quicker than bfloat16.

Quantisation is "dynamic", by the values at hand, as `torch.ao.quantization` calls it: weights have a scale for each
output, what they are multiplied with has one for many values together, of the whole batch, which on a CPU is one
segment. Sums are exact, and come out in 16 bits.
docs/decisions/2026-11-26-int8-products.md says which layers stand that, and what it saves.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from functions.separate import panels
from functions.separate.panels import LinearInPanels
from functions.separate.products import ONEDNN, Gated, Halves, Linear, Pair, is_coarse
from functions.separate.winograd import GatedInTiles, gated_convolutions

OPERATORS: Any = torch.ops.onednn
HIGHEST = 127  # of an 8-bit integer with a sign
STEPS = 254  # from the least value to the greatest; one of 255 is left for what they move up by, so that zero is one
MIDDLE = 128  # is added to all that have a sign: oneDNN is quick at values without one only
SMALLEST = 1e-30  # scale, so that silence has one
PIECE = 1 << 18  # values that a thread converts at a time, so that they stay in its cache


def is_quicker(like: Tensor) -> bool:
    """Than `like`'s type, on its device: where the processor has AVX512_VNNI, which all with AMX have too."""
    cpu: Any = torch.cpu
    return is_coarse(like) and bool(ONEDNN and cpu._is_vnni_supported())


@dataclass(frozen=True)
class Quantised:
    """Values as integers from 0 to 255: `scale` times what they are above `zero`."""

    values: Tensor
    scale: Tensor
    zero: Tensor


def quantised(x: Tensor) -> Quantised:
    """x (batch, positions, channels), bfloat16, from its least value to its greatest: GELU leaves little below zero."""
    low, high = (end.float() for end in torch.aminmax(x))
    low, high = low.clamp_(max=0), high.clamp_(min=0)
    scale = ((high - low) / STEPS).clamp_(min=SMALLEST)
    zero = (-low / scale).ceil_()
    factor, shift = 1 / scale, zero - MIDDLE
    values = torch.empty(x.shape, dtype=torch.int8)
    rows = max(1, PIECE * torch.get_num_threads() // x.shape[-1])
    for piece, out in zip(x.split(rows, 1), values.split(rows, 1), strict=True):
        out.copy_(piece.float().mul_(factor).add_(shift).round_())
    return Quantised(_without_sign(values), scale, zero.int())


class Linear8:
    """`functions.separate.products.Linear`."""

    prepared = staticmethod(quantised)

    def __init__(self, weight: Tensor, bias: Tensor, like: Tensor) -> None:
        values, *scales = _quantised_weight(weight.flatten(1))
        self._weight = OPERATORS.qlinear_prepack(values, None), *scales
        self._bias, self._dtype = bias.float().contiguous(), like.dtype

    def __call__(self, x: Quantised, then: str = "none") -> Tensor:
        out: Tensor = OPERATORS.qlinear_pointwise.tensor(
            x.values, x.scale, x.zero, *self._weight, self._bias, 1.0, 0, self._dtype, then, [], "none"
        )
        return out

    def plus(self, x: Quantised, other: Tensor) -> Tensor:
        given = (x.values, x.scale, x.zero, *self._weight, other, self._bias, 1.0, 0, self._dtype)
        out: Tensor = OPERATORS.qlinear_pointwise.binary_tensor(*given, 1.0, 0, "add", 1.0, "none", [], "none")
        return out


def linear(weight: Tensor, bias: Tensor, like: Tensor) -> Linear | LinearInPanels | Linear8:
    """In integers where they are quicker; it takes what its own `prepared` makes of values."""
    return Linear8(weight, bias, like) if is_quicker(like) else panels.linear(weight, bias, like)


class GatedConvolutions8:
    """`functions.separate.winograd.gated_convolutions`, some rows at a time.

    Each piece of rows has a scale of its own, and is quantised, multiplied and gated while it is in the cache.
    """

    def __init__(self, halves: Halves, like: Tensor, padding: Pair) -> None:
        weight, bias = map(torch.cat, zip(*halves, strict=True))
        self._values, self._scale, self._zeros = _quantised_weight(weight)
        self._bias, self._dtype, self._padding = bias.float().contiguous(), like.dtype, padding
        self._zero = torch.tensor(MIDDLE, dtype=torch.int32)
        self._packed: dict[torch.Size, Tensor] = {}  # the weight, by what it is for; otherwise it is packed each time

    def __call__(self, x: Tensor) -> Tensor:
        """x and what comes out are (batch, channels, rows, positions) and lie in memory as channels_last."""
        x = x.permute(0, 2, 3, 1)
        out = torch.empty_like(x)
        count = max(1, PIECE // x[0, 0].numel())
        for start in range(0, x.shape[1], count):
            some = out[:, start : start + count]
            torch.ops.aten.glu(self._convolved(self._padded(x, start, some.shape[1])), -1, out=some)
        return out.permute(0, 3, 1, 2)

    def _padded(self, x: Tensor, start: int, count: int) -> Quantised:
        """`count` rows of x (batch, rows, positions, channels) with what is around them, which is zero at the edges."""
        rows, positions = self._padding
        first, end = max(0, start - rows), min(x.shape[1], start + count + rows)
        piece = x[:, first:end]
        values = torch.zeros(x.shape[0], count + 2 * rows, x.shape[2] + 2 * positions, x.shape[3], dtype=torch.int8)
        above = first - start + rows
        low, high = torch.aminmax(piece)
        scale = torch.maximum(-low, high).float().div_(HIGHEST).clamp_(min=SMALLEST)
        inner = values[:, above : above + end - first, positions : positions + x.shape[2]]
        inner.copy_(piece.float().mul_(1 / scale).round_())
        return Quantised(_without_sign(values), scale, self._zero)

    def _convolved(self, x: Quantised) -> Tensor:
        values, ones = x.values.permute(0, 3, 1, 2), [1, 1]
        if values.shape not in self._packed:
            self._packed[values.shape] = OPERATORS.qconv_prepack(
                self._values, self._scale, 1.0, MIDDLE, ones, [0, 0], ones, 1, list(values.shape)
            )
        weight = (self._packed[values.shape], self._scale, self._zeros, self._bias)
        out: Tensor = OPERATORS.qconv2d_pointwise.tensor(
            values, x.scale, x.zero, *weight, ones, [0, 0], ones, 1, 1.0, 0, self._dtype, "none", [], None
        )
        return out.permute(0, 2, 3, 1)


def gated(halves: Halves, like: Tensor, padding: Pair) -> Gated | GatedInTiles | GatedConvolutions8:
    """In integers where they are quicker."""
    return (GatedConvolutions8 if is_quicker(like) else gated_convolutions)(halves, like, padding)


def _without_sign(values: Tensor) -> Tensor:
    """MIDDLE more than they are, in place."""
    return values.view(torch.uint8).bitwise_xor_(MIDDLE)


def _quantised_weight(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A weight (outputs, ...) as integers, their scales, and their zeros."""
    scale = weight.float().flatten(1).abs().amax(1).div_(HIGHEST).clamp_(min=SMALLEST)
    values = (weight.float() / scale.view(-1, *[1] * (weight.dim() - 1))).round_().to(torch.int8)
    return values.contiguous(), scale, torch.zeros(len(scale), dtype=torch.int32)
