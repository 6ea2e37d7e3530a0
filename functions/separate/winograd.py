"""Convolutions of three positions in half of the products, for processors on which those take longest.

Winograd's F(4, 3): four positions by three weights are six products, and sums before and after them. (Lavin, Gray, Fast
Algorithms for Convolutional Neural Networks, 2016.) It is done along positions only: across rows as well sums would
take longer than the products that they save.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from functions.separate.products import Convolution, Gated, Halves, Pair, by_rows, on_avx2

TILE = 4  # positions that come of six products
# Of which of a kernel's three weights each product's is the sum: G in the paper.
WEIGHTS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
PIECE = 1 << 20  # values of rows that are computed at a time, so that they and their sums stay in the cache


class FewerProducts:
    """`Gated` convolutions of stride 1 whose kernels are three positions wide, some rows at a time."""

    def __init__(self, halves: Halves, like: Tensor, padding: Pair) -> None:
        weight, bias = map(torch.cat, zip(*halves, strict=True))
        six = torch.einsum("ik,ocrk->iocr", torch.tensor(WEIGHTS, dtype=torch.float64), weight.double())
        # The second product is in each of the four sums once, so that the bias may be in it.
        biases = [bias if number == 1 else torch.zeros_like(bias) for number in range(len(six))]
        self._products = [Convolution(one[..., None], two, like) for one, two in zip(six, biases, strict=True)]
        self._rows = padding[0]

    def __call__(self, x: Tensor) -> Tensor:
        """x and what comes out are (batch, channels, rows, positions) and lie in memory as channels_last."""
        return by_rows(x, PIECE, self._fill)

    def _fill(self, x: Tensor, start: int, out: Tensor) -> None:
        convolved = self._summed(self._multiplied(self._padded(x, start, out.shape[1])))
        for offset, sums in enumerate(convolved):
            those = out[:, :, offset::TILE]
            torch.ops.aten.glu(sums[:, :, : those.shape[2]], -1, out=those)

    def _padded(self, x: Tensor, start: int, count: int) -> Tensor:
        """`count` rows of x with the rows around them, which are zero at the edges, and positions that make tiles."""
        rows, (batch, _, positions, channels) = self._rows, x.shape
        first, end = max(0, start - rows), min(x.shape[1], start + count + rows)
        padded = x.new_zeros(batch, count + 2 * rows, positions + -positions % TILE + 2, channels)
        above = first - start + rows
        padded[:, above : above + end - first, 1 : positions + 1] = x[:, first:end]
        return padded

    def _multiplied(self, x: Tensor) -> list[Tensor]:
        """The six products of tiles, (batch, rows, tiles, outputs): of sums that B in the paper tells."""
        tiles = x.shape[2] - 2
        x0, x1, x2, x3, x4, x5 = (x[:, :, offset : offset + tiles : TILE] for offset in range(6))
        even, odd = torch.sub(x4, x2, alpha=4), torch.sub(x3, x1, alpha=4)
        even_2, odd_2 = x4 - x2, x3 - x1
        sums = (
            torch.add(even, x0, alpha=4).sub_(x2),
            even + odd,
            even - odd,
            torch.add(even_2, odd_2, alpha=2),
            torch.sub(even_2, odd_2, alpha=2),
            (x5 - odd).sub_(x3, alpha=4),
        )
        each = zip(self._products, sums, strict=True)
        return [product(one.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) for product, one in each]

    @staticmethod
    def _summed(products: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The positions that are first, second, third and fourth of a tile: A in the paper. Uses the products up."""
        first, second, third, fourth, fifth, sixth = products
        plus, minus = second + third, second.sub_(third)
        plus_2, minus_2 = fourth + fifth, fourth.sub_(fifth)
        return (
            first.add_(plus).add_(plus_2),
            torch.add(minus, minus_2, alpha=2),
            plus.add_(plus_2, alpha=4),
            sixth.add_(minus).add_(minus_2, alpha=8),
        )


def gated_convolutions(halves: Halves, like: Tensor, padding: Pair) -> Gated | FewerProducts:
    """Convolutions of stride 1, in fewer products where that is quicker."""
    if on_avx2(like) and halves[0][0].shape[2:] == (3, 3):
        return FewerProducts(halves, like, padding)
    return Gated(*(Convolution(*half, like, padding=padding) for half in halves))
