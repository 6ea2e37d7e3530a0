"""Linear layers and convolutions with what follows them fused in, for values whose channels lie side by side in memory.

On a CPU they are oneDNN's: PyTorch hands float32 products to MKL, which has half the speed on AMD's with AVX-512.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

ONEDNN: Any = torch.ops.mkldnn if torch.backends.mkldnn.is_available() else None
HAS_BFLOAT16 = bool(ONEDNN and ONEDNN._is_mkldnn_bf16_supported())  # of processors with AVX2 alone it takes none
ACTIVATIONS: Any = {"none": lambda x: x, "gelu": functional.gelu, "sigmoid": torch.sigmoid}
State = Mapping[str, Tensor]  # weights by their names
Pair = tuple[int, int]
Halves = Sequence[tuple[Tensor, Tensor]]  # weight and bias of a layer's values, and of their gate


def channels_of(x: Tensor) -> Tensor:
    """(batch, channels, rows, positions) as (batch, rows, positions, channels), in the same memory."""
    return x.permute(0, 2, 3, 1)


def rows_of(x: Tensor) -> Tensor:
    """And back."""
    return x.permute(0, 3, 1, 2)


def is_coarse(like: Tensor) -> bool:
    """Whether `like`'s type rounds more than is good, which that of a GPU, float16, does not."""
    return like.dtype == torch.bfloat16 and not like.is_cuda


def is_onednns(x: Tensor) -> bool:
    """Whether oneDNN takes such values here; what it does not take the public operators do, however slowly."""
    return bool(ONEDNN) and not x.is_cuda and (HAS_BFLOAT16 or x.dtype != torch.bfloat16)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, then: str = "none") -> Tensor:
    """x (..., inputs) by weight (outputs, inputs), and an activation of `ACTIVATIONS`."""
    if not is_onednns(x):
        activated: Tensor = ACTIVATIONS[then](functional.linear(x, weight, bias))
        return activated
    after: Any = (then, [], "none" if then == "gelu" else "")
    return ONEDNN._linear_pointwise(x, weight, bias, *after)


def product_with(attribute: str, x: Tensor, other: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (..., inputs) by weight (outputs, inputs), and to it ("add") or times it ("mul") other (..., outputs)."""
    if not is_onednns(x):
        own = functional.linear(x, weight, bias)
        return own.add_(other) if attribute == "add" else own.mul_(other)
    return ONEDNN._linear_pointwise.binary(x, other, weight, bias, attribute)


def in_two(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Float32 values (..., inputs) as (..., 3 * inputs) of 16 bits, for a weight by `weight_in_two`.

    Each number is the sum of two, its 16 bits and those of what was rounded off. Of the four products that makes, the
    one of two remainders is left out. (Henry, Tang, Heinecke, Leveraging the bfloat16 Artificial Intelligence Datatype
    For Higher-Precision Computations, 2019.)
    """
    high = x.to(dtype)
    return torch.cat([high, (x - high).to(dtype), high], -1)


def weight_in_two(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight (outputs, inputs) as (outputs, 3 * inputs)."""
    high = weight.to(dtype).float()
    return torch.cat([high, high, weight - high], -1)


class Linear:
    """A linear layer over the last dimension; its weight may be that of a convolution over single positions."""

    def __init__(self, weight: Tensor, bias: Tensor, like: Tensor) -> None:
        self.weight = weight.flatten(1).to(like).contiguous()
        self.bias = bias.to(like).contiguous()

    @staticmethod
    def prepared(x: Tensor) -> Tensor:
        """Values as it, and others of its kind, take them; there are kinds that do not take them as they are."""
        return x

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        return product(x, self.weight, self.bias, then)

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        return product_with("add", x, other, self.weight, self.bias)

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        return product_with("mul", x, other, self.weight, self.bias)


class Convolution:
    """A 2D convolution of values (batch, channels, rows, columns) that lie in memory as channels_last."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        like: Tensor,
        stride: Pair = (1, 1),
        padding: Pair = (0, 0),
        dilation: int = 1,
    ) -> None:
        self.weight = weight.to(like).contiguous(memory_format=torch.channels_last)
        self.bias = bias.to(like).contiguous()
        self.stride, self.padding, self.dilation = stride, padding, (dilation, dilation)

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        if is_onednns(x):
            out: Tensor = ONEDNN._convolution_pointwise(
                x, *self._arguments(), then, [], "none" if then == "gelu" else ""
            )
            return out
        activated: Tensor = ACTIVATIONS[then](self._plain(x))
        return activated

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        if is_onednns(x):
            out: Tensor = ONEDNN._convolution_pointwise.binary(
                x, other, *self._arguments(), "mul", None, None, [], None
            )
            return out
        return self._plain(x).mul_(other)

    def _arguments(self) -> tuple[Any, ...]:
        return self.weight, self.bias, self.padding, self.stride, self.dilation, 1

    def _plain(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)


class Transposed:
    """A transposed 2D convolution, likewise."""

    def __init__(self, weight: Tensor, bias: Tensor, like: Tensor, stride: Pair, padding: Pair) -> None:
        self.weight = weight.to(like).contiguous(memory_format=torch.channels_last)
        self.bias = bias.to(like).contiguous()
        self.stride, self.padding = stride, padding

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        if is_onednns(x):
            about: tuple[Any, ...] = (
                self.padding,
                (0, 0),
                self.stride,
                (1, 1),
                1,
                then,
                [],
                "none" if then == "gelu" else "",
            )
            out: Tensor = ONEDNN._convolution_transpose_pointwise(x, self.weight, self.bias, *about)
            return out
        activated: Tensor = ACTIVATIONS[then](
            functional.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding)
        )
        return activated


class TransposedInPairs:
    """`Transposed` over the columns of one row, by a kernel of twice the stride: as a convolution of pairs of inputs.

    Each pair makes `stride` columns, which are its channels. To prepare a transposed one over 86,000 columns takes
    oneDNN half a second, in each thread.
    """

    def __init__(self, weight: Tensor, bias: Tensor, like: Tensor, stride: int, padding: int) -> None:
        later, earlier = weight.permute(3, 1, 0, 2).split(stride)  # (stride, outputs, inputs, 1) by the second, first
        pairs = torch.stack([earlier, later], -1).flatten(0, 1)
        self.conv = Convolution(pairs, bias.repeat(stride), like, padding=(0, 1))
        self.outputs, self.padding = len(bias), padding

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        columns = self.conv(x, then).permute(0, 2, 3, 1).unflatten(-1, (-1, self.outputs)).flatten(2, 3)
        return columns[:, :, self.padding : -self.padding].permute(0, 3, 1, 2)


class Gated:
    """A layer of twice the channels and the gate of `glu` after it, without writing down what only the gate reads."""

    def __init__(self, value: Linear | Convolution, gate: Linear | Convolution) -> None:
        self.value, self.gate = value, gate

    def __call__(self, x: Tensor) -> Tensor:
        return self.value.times(x, self.gate(x, "sigmoid"))
