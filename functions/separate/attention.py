"""HTDemucs' transformer: two sequences (batch, positions, channels), of frequencies and of time, look at each other."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from functions.separate.layers import State, part_of
from functions.separate.products import Linear, product

EPSILON = 1e-5  # of nn.LayerNorm and nn.GroupNorm
ROWS = 672  # of scores that are made at a time, so that they stay in the processor's cache


class Norm:
    """`nn.LayerNorm` over the channels."""

    def __init__(self, state: State, name: str, like: Tensor) -> None:
        self.weight, self.bias = state[f"{name}.weight"].to(like), state[f"{name}.bias"].to(like)

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPSILON)


class Layer:
    """`demucs.transformer.MyTransformerEncoderLayer` or `CrossTransformerEncoderLayer`, normalising first."""

    def __init__(self, state: State, heads: int, like: Tensor) -> None:
        self.cross = "cross_attn.in_proj_weight" in state
        self.heads = heads
        attention = part_of(state, "cross_attn." if self.cross else "self_attn.")
        weight, bias = attention["in_proj_weight"].float(), attention["in_proj_bias"].float()
        width = weight.shape[1]
        factor = (width // heads) ** -0.5  # of the scores
        self.query = Linear(weight[:width] * factor, bias[:width] * factor, like)
        self.key_value = Linear(weight[width:], bias[width:], like)
        self.out = _scaled(attention, "out_proj", state["gamma_1.scale"], like)
        self.first = Linear(state["linear1.weight"], state["linear1.bias"], like)
        self.second = _scaled(state, "linear2", state["gamma_2.scale"], like)
        norms = ("norm1", "norm2", "norm3") if self.cross else ("norm1", "norm1", "norm2")
        self.norm_query, self.norm_key, self.norm_forward = (Norm(state, name, like) for name in norms)
        self.norm_out = Norm(state, "norm_out", like) if "norm_out.weight" in state else None

    def __call__(self, x: Tensor, other: Tensor) -> Tensor:
        """What x becomes; a layer that is not cross attends to x itself."""
        normed = self.norm_query(x)
        seen = self.norm_key(other) if self.cross else normed
        key, value = self.key_value(seen).chunk(2, -1)
        attended = attention(self.query(normed), key, value, self.heads)
        x = self.out.plus(attended, x)
        x = self.second.plus(self.first(self.norm_forward(x), "gelu"), x)
        return _whole_norm(x, self.norm_out) if self.norm_out else x


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(q k') v of each head, of (batch, positions, channels); the query is scaled already."""
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    if query.is_cuda:
        return functional.scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2).flatten(2)
    out = query.new_empty(query.shape[0], query.shape[2], heads, query.shape[3])
    for sample in range(query.shape[0]):
        for head in range(heads):
            keys, values = key[sample, head].contiguous(), value[sample, head].t().contiguous()
            for start in range(0, query.shape[2], ROWS):
                scores = product(query[sample, head, start : start + ROWS], keys)
                out[sample, start : start + ROWS, head] = product(scores.softmax(-1), values)
    return out.flatten(2)


def _whole_norm(x: Tensor, norm: Norm) -> Tensor:
    """`nn.GroupNorm` of one group: over positions and channels together."""
    normed = functional.layer_norm(x, x.shape[1:], eps=EPSILON)
    return torch.addcmul(norm.bias, normed, norm.weight)


def _scaled(state: State, name: str, scale: Tensor, like: Tensor) -> Linear:
    """A linear layer with the `LayerScale` after it."""
    scale = scale.float()
    return Linear(state[f"{name}.weight"].float() * scale[:, None], state[f"{name}.bias"].float() * scale, like)


def position_1d(length: int, width: int, period: float) -> Tensor:
    """`demucs.transformer.create_sin_embedding`, (length, width)."""
    half = torch.arange(width // 2)
    phase = torch.arange(length)[:, None] / period ** (half / (width // 2 - 1))
    return torch.cat([phase.cos(), phase.sin()], -1)


def position_2d(rows: int, positions: int, width: int, period: float) -> Tensor:
    """`demucs.transformer.create_2d_sin_embedding`, (rows, positions, width): half of the channels for each."""
    factor = torch.exp(torch.arange(0.0, width // 2, 2) * -(math.log(period) / (width // 2)))
    along, across = (_interleaved(torch.arange(0.0, count)[:, None] * factor) for count in (positions, rows))
    return torch.cat([along.expand(rows, -1, -1), across[:, None].expand(-1, positions, -1)], -1)


def _interleaved(phase: Tensor) -> Tensor:
    """Sine and cosine in turns, (n, 2 * factors)."""
    return torch.stack([phase.sin(), phase.cos()], -1).flatten(1)
