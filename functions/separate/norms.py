"""Sums over many positions. On a GPU PyTorch's own kernels leave a row, or a product, to one of its processors."""

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-5  # of nn.LayerNorm and nn.GroupNorm
PIECE = 2048  # positions


def whole_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`nn.GroupNorm` of one group: x (rows, positions, channels) over its positions and channels together."""
    if not x.is_cuda:
        return torch.addcmul(bias, functional.layer_norm(x, x.shape[1:], eps=EPSILON), weight)
    count = x[0].numel()
    mean = x.sum((1, 2), keepdim=True, dtype=torch.float32) / count
    centred = x - mean.to(x)
    square = torch.linalg.vector_norm(centred, dim=(1, 2), keepdim=True, dtype=torch.float32).square() / count
    return torch.addcmul(bias, centred, (torch.rsqrt(square + EPSILON) * weight).to(x))


def products(x: Tensor) -> Tensor:
    """x' x of each row of x (rows, positions, channels), (rows, channels, channels), float64.

    Of many positions in float64 all the way: where most are alike, as in silence, rounding adds up in one direction,
    and the little that a variance is of such sums is lost.
    """
    rows, positions, channels = x.shape
    if positions <= PIECE:
        return torch.bmm(x.transpose(1, 2), x).double()
    x = x.double()
    if not x.is_cuda:
        return torch.bmm(x.transpose(1, 2), x)
    pieces = functional.pad(x, (0, 0, 0, -positions % PIECE)).view(-1, PIECE, channels)
    return torch.bmm(pieces.transpose(1, 2), pieces).view(rows, -1, channels, channels).sum(1)
