"""Convolutions in fewer products, for processors on which those take longest: Winograd's, by compiled kernels.

Some outputs side by side are sums of fewer products than they have weights. Each product is of a sum of inputs and a
sum of weights, and those of weights are made once. (Lavin, Gray, Fast Algorithms for Convolutional Neural Networks,
2016.)
"""

import torch
from torch import Tensor

from functions.separate import kernels
from functions.separate.kernels import PANEL, VECTOR, Side
from functions.separate.products import Convolution, Gated, Halves, Pair, channels_of, rows_of

STRIDE = 4
# Of which weights each product's is the sum, G in the paper: for four outputs of a kernel of three, and of two.
OF_THREE = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OF_TWO = ((1 / 2, 0), (-1 / 2, -1 / 2), (-1 / 6, 1 / 6), (1 / 6, 1 / 3), (0, 1))


class GatedInTiles:
    """`Gated` convolutions of stride 1, 3 x 3 in tiles of 4 x 4 outputs or 1 x 3 in tiles of 4.

    That leaves a quarter of the products, or half of them.
    """

    def __init__(self, halves: Halves) -> None:
        weight, bias = map(torch.cat, zip(*halves, strict=True))
        sums = torch.tensor(OF_THREE, dtype=torch.float64)
        across = sums if weight.shape[2] == 3 else torch.ones(1, 1, dtype=torch.float64)
        taps = kernels.in_turns(weight.flatten(2).permute(2, 1, 0))
        self._weight = _summed(torch.kron(across, sums), kernels.panels(taps))
        self._bias = kernels.in_turns(bias.float())

    def __call__(self, x: Tensor) -> Tensor:
        """x and what comes out are (batch, channels, rows, positions) and lie in memory as channels_last."""
        return rows_of(kernels.gated_convolution(channels_of(x), self._weight, self._bias))


class InFours:
    """A convolution of stride 4 by kernels of 8, in tiles of 4 outputs: five eighths of the products.

    Four inputs taken as one of four times the channels leave kernels of two. Likewise four outputs of a transposed one.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, over_rows: bool, transposed: bool) -> None:
        """weight (outputs, inputs, 8), or of a transposed one (inputs, outputs, 8)."""
        self._over_rows, self._transposed = over_rows, transposed
        first, second = weight.permute(2, 0, 1).split(STRIDE)
        if transposed:  # outputs are of the group before them by the second four, and of their own by the first
            pairs = torch.stack([second, first]).permute(0, 2, 1, 3).flatten(2)
        else:
            pairs = torch.stack([first, second]).permute(0, 1, 3, 2).flatten(1, 2)
        self._weight = _summed(torch.tensor(OF_TWO, dtype=torch.float64), kernels.panels(pairs))
        self._bias = bias.float().contiguous()

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        """x and what comes out are as those of `GatedInTiles`; after it is "none" or "gelu"."""
        x = self._turned(channels_of(x))
        _, length, lines, inputs = x.shape
        outputs = len(self._bias)
        if self._transposed:
            of, to = Side(length, lines, inputs, 1, -1), Side(length * STRIDE, lines, outputs, STRIDE, -STRIDE // 2)
            groups = length + 1
        else:
            groups = length // STRIDE
            of, to = Side(length, lines, inputs, STRIDE, -STRIDE // 2), Side(groups, lines, outputs, 1, 0)
        gelu = then == "gelu"
        return rows_of(
            self._turned(kernels.strided_convolution(x, self._weight, self._bias, to, of, groups, gelu=gelu))
        )

    def _turned(self, x: Tensor) -> Tensor:
        """(batch, rows, positions, channels), with what it is along first of the two."""
        return x if self._over_rows else x.transpose(1, 2)


def _summed(sums: Tensor, taps: Tensor) -> Tensor:
    """The weights of all products, (products, ...), of those of all taps, (taps, ...): each a sum that `sums` says."""
    return (sums @ taps.double().flatten(1)).float().unflatten(1, taps.shape[1:])


def gated_convolutions(halves: Halves, like: Tensor, padding: Pair) -> Gated | GatedInTiles:
    """Convolutions of stride 1, in tiles where that is quicker."""
    channels, *size = halves[0][0].shape[1:]
    if kernels.ready(like) and size in ([3, 3], [1, 3]) and channels % VECTOR == 0:
        return GatedInTiles(halves)
    return Gated(*(Convolution(*half, like, padding=padding) for half in halves))


def in_fours(weight: Tensor, bias: Tensor, like: Tensor, stride: int, *, transposed: bool = False) -> InFours | None:
    """`InFours` where it can be, and is quicker; a kernel over rows has a dimension more."""
    inputs, outputs = weight.shape[:2] if transposed else weight.shape[1::-1]
    fit = inputs % VECTOR == 0 and outputs % VECTOR == 0 and (STRIDE * outputs if transposed else outputs) % PANEL == 0
    if not kernels.ready(like) or not fit or stride != STRIDE or weight[0, 0].numel() != 2 * STRIDE:
        return None
    return InFours(weight.flatten(2), bias, over_rows=weight.dim() == 4, transposed=transposed)
