"""Linear layers, by a compiled kernel where there is one: it reads weights in panels of some outputs side by side."""

import torch
from torch import Tensor

from functions.separate import kernels
from functions.separate.kernels import PANEL, VECTOR
from functions.separate.products import Gated, Halves, Linear


class LinearInPanels:
    """`functions.separate.products.Linear`."""

    prepared = staticmethod(Linear.prepared)

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight = kernels.panels(weight.flatten(1).T)
        self._bias = bias.float().contiguous()

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        return kernels.linear(x, self._weight, self._bias, then)

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        return kernels.linear(x, self._weight, self._bias, other=other)


class GatedInPanels:
    """`Gated` linear layers."""

    def __init__(self, halves: Halves) -> None:
        weight, bias = map(torch.cat, zip(*halves, strict=True))
        self._weight = kernels.panels(kernels.in_turns(weight.flatten(1).T))
        self._bias = kernels.in_turns(bias.float())

    def __call__(self, x: Tensor) -> Tensor:
        return kernels.linear(x, self._weight, self._bias, "gate")


def linear(weight: Tensor, bias: Tensor, like: Tensor) -> Linear | LinearInPanels:
    """By the kernel where that is quicker, and there are whole panels."""
    if kernels.ready(like) and len(weight) % PANEL == 0:
        return LinearInPanels(weight, bias)
    return Linear(weight, bias, like)


def gated_linear(halves: Halves, like: Tensor) -> Gated | GatedInPanels:
    """Likewise."""
    if kernels.ready(like) and len(halves[0][1]) % VECTOR == 0:
        return GatedInPanels(halves)
    return Gated(*(Linear(*half, like) for half in halves))
