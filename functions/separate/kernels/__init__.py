"""Layers in C++, for float32 on processors with AVX2 alone, where they are quicker than PyTorch's operators.

functions/separate/kernels/build.py compiles them. Where that was not done `ready` says so, and the same layers are
made of operators. Tensors are float32 on a CPU and lie in memory in the order of their dimensions; others are copied.
What there is no memory for raises what PyTorch raises then.
"""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from functions.separate.kernels.build import fits, library

AVX2_ALONE = torch.backends.cpu.get_cpu_capability() == "AVX2"
VECTOR = 8  # channels that are computed at a time: layers have a multiple of them
PANEL = 16  # outputs that lie side by side in a packed weight
THEN = {"none": 0, "gelu": 1, "gate": 2}  # what follows a linear layer; values and their gates are in turns
FLAT = 6  # products of a tile of one row
STRIDED = 5  # of one of a strided convolution
HEADS = range(PANEL, 64 + 1, PANEL)  # channels that one may have: up to WIDEST of attention.cpp
MOST_INNER = 48  # channels of a residual branch: MOST of residual.cpp

AT, INT, LONG, FLOAT, BOOL = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_float, ctypes.c_bool


class Side(ctypes.Structure):
    """Of a strided convolution; functions/separate/kernels/strided.cpp says what it holds."""

    _fields_ = tuple((name, LONG) for name in ("length", "lines", "channels", "phases", "offset"))


class Branch(ctypes.Structure):
    """Of a residual; functions/separate/kernels/residual.cpp says what it holds."""

    WEIGHTS = ("first", "first_bias", "scale", "shift", "second", "second_bias", "second_mean", "second_shift")
    MOMENTS = ("mean", "cross", "squares")
    NUMBERS = ("mean_bias", "square_bias", "epsilon")
    SIZES = ("channels", "hidden", "width", "dilation")
    _fields_ = (
        *((name, AT) for name in WEIGHTS + MOMENTS),
        *((name, FLOAT) for name in NUMBERS),
        *((name, LONG) for name in SIZES),
    )


ARGUMENTS: dict[str, list[Any]] = {  # and the threads after them
    "linear": [AT] * 5 + [INT] + [LONG] * 3,
    "attention": [AT] * 4 + [LONG] * 4,
    "gated_convolution": [AT] * 4 + [BOOL] + [LONG] * 3,
    "strided_convolution": [AT] * 4 + [ctypes.POINTER(Side)] * 2 + [LONG, BOOL],
    "residual": [ctypes.POINTER(Branch), AT, LONG, LONG],
}


@cache
def _library() -> Any:
    """None where there is none that can be loaded."""
    try:
        loaded = ctypes.CDLL(str(library()))
    except OSError:
        return None
    for name, arguments in ARGUMENTS.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = [*arguments, LONG], BOOL
    return loaded


def there() -> bool:
    """Whether they are compiled."""
    return _library() is not None


def missing() -> bool:
    """Whether they would be of use here, and are not compiled."""
    return AVX2_ALONE and fits() and not there()


def ready(like: Tensor) -> bool:
    """Whether layers of `like`'s type, on its device, are computed by them."""
    return AVX2_ALONE and like.dtype == torch.float32 and not like.is_cuda and there()


def panels(weight: Tensor) -> Tensor:
    """A weight (..., inputs, outputs) as (..., outputs / PANEL, inputs, PANEL), float32."""
    return weight.unflatten(-1, (-1, PANEL)).transpose(-2, -3).float().contiguous()


def in_turns(values: Tensor) -> Tensor:
    """Values and their gates, which are the second half of the last dimension, in turns of VECTOR."""
    halves = [half.unflatten(-1, (-1, VECTOR)) for half in values.chunk(2, -1)]
    return torch.stack(halves, -2).flatten(-3)


def linear(x: Tensor, weight: Tensor, bias: Tensor, then: str = "none", other: Tensor | None = None) -> Tensor:
    """x (..., inputs) by weight (panels, inputs, PANEL), then what is of `THEN`; or plus other (..., outputs)."""
    x, outputs = x.contiguous(), len(bias)
    fit(weight, outputs // PANEL, x.shape[-1], PANEL)
    out = x.new_empty(*x.shape[:-1], outputs // 2 if then == "gate" else outputs)
    if other is not None:
        fit(other, *out.shape)
    added = [None] if other is None else _at(other := other.contiguous())
    _call("linear", *_at(out, x, weight, bias), *added, THEN[then], x.shape[:-1].numel(), x.shape[-1], outputs)
    return out


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(q k') v of each head, of (batch, positions, channels)."""
    query, key, value = (x.contiguous() for x in (query, key, value))
    fit(key, len(query), key.shape[1], query.shape[2])
    fit(value, *key.shape)
    out = torch.empty_like(query)
    for each in zip(out, query, key, value, strict=True):
        _call("attention", *_at(*each), query.shape[1], key.shape[1], heads, query.shape[2] // heads)
    return out


def gated_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (batch, rows, positions, channels) convolved into as many, 3 x 3 or 1 x 3, which the weight tells.

    It is (36, panels, channels, PANEL) or (6, ...), the bias is in turns.
    """
    x, channels = x.contiguous(), x.shape[-1]
    fit(weight, FLAT if len(weight) == FLAT else FLAT**2, 2 * channels // PANEL, channels, PANEL)
    fit(bias, 2 * channels)
    out = torch.empty_like(x)
    for each in zip(out, x, strict=True):
        _call("gated_convolution", *_at(*each, weight, bias), len(weight) == FLAT, *x.shape[1:])
    return out


def strided_convolution(
    x: Tensor, weight: Tensor, bias: Tensor, to: Side, of: Side, groups: int, *, gelu: bool
) -> Tensor:
    """x (batch, length, lines, channels) convolved along its length into so many groups of what `to` says."""
    x = x.contiguous()
    fit(x, len(x), of.length, of.lines, of.channels)
    fit(weight, STRIDED, to.phases * to.channels // PANEL, of.phases * of.channels, PANEL)
    fit(bias, to.channels)
    out = x.new_empty(len(x), to.length, to.lines, to.channels)
    for each in zip(out, x, strict=True):
        _call("strided_convolution", *_at(*each, weight, bias), to, of, groups, gelu)
    return out


def residual(y: Tensor, branch: Branch) -> Tensor:
    """y (batch, rows, positions, channels) and the branch; y itself where it can be."""
    y = y.contiguous()
    fit(y, *y.shape[:3], branch.channels)
    for each in y:
        _call("residual", branch, *_at(each), *each.shape[:2])
    return y


def fit(values: Tensor, *shape: int) -> None:
    """Raises ValueError where values have another shape: weights may be another network's, and kernels do not look."""
    if values.shape != shape:
        raise ValueError(f"weights and values do not fit each other: {tuple(values.shape)} where {shape} is wanted")


def _at(*tensors: Tensor) -> list[int]:
    return [each.data_ptr() for each in tensors]


def _call(name: str, *arguments: Any) -> None:
    """By as many threads as PyTorch would take."""
    if not getattr(_library(), name)(*arguments, torch.get_num_threads()):
        raise torch.OutOfMemoryError(f"out of memory in {name}")
