"""HTDemucs' transformer: two sequences (batch, positions, channels), of frequencies and of time, look at each other."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from functions.separate import kernels
from functions.separate.int8 import Linear8, linear
from functions.separate.layers import part_of
from functions.separate.norms import EPSILON, whole_norm
from functions.separate.panels import LinearInPanels
from functions.separate.products import Linear, State, product

ROWS = 672  # of scores that are made at a time, so that they stay in the processor's cache
LOG2_E = 1 / math.log(2)
BOUND = 69.0  # of scores: e to them is 2 to +-100, and thousands of such powers can still be added up


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
        self.query = linear(weight[:width] * factor, bias[:width] * factor, like)
        self.key, self.value = (
            linear(*each, like) for each in zip(weight[width:].chunk(2), bias[width:].chunk(2), strict=True)
        )
        self.out = _scaled(attention, "out_proj", state["gamma_1.scale"], like)
        self.first = linear(state["linear1.weight"], state["linear1.bias"], like)
        self.second = _scaled(state, "linear2", state["gamma_2.scale"], like)
        norms = ("norm1", "norm2", "norm3") if self.cross else ("norm1", "norm1", "norm2")
        self.norm_query, self.norm_key, self.norm_forward = (Norm(state, name, like) for name in norms)
        self.norm_out = Norm(state, "norm_out", like) if "norm_out.weight" in state else None

    def __call__(self, x: Tensor, other: Tensor) -> Tensor:
        """What x becomes; a layer that is not cross attends to x itself."""
        normed = self.query.prepared(self.norm_query(x))
        seen = self.key.prepared(self.norm_key(other)) if self.cross else normed
        attended = attention(self.query(normed), self.key(seen), self.value(seen), self.heads)
        x = self.out.plus(self.out.prepared(attended), x)
        between = self.first(self.first.prepared(self.norm_forward(x)), "gelu")
        x = self.second.plus(self.second.prepared(between), x)
        return whole_norm(x, self.norm_out.weight, self.norm_out.bias) if self.norm_out else x


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(q k') v of each head, of (batch, positions, channels); the query is scaled already."""
    if kernels.ready(query) and query.shape[-1] // heads in kernels.HEADS:
        return kernels.attention(query, key, value, heads)
    if query.is_cuda:
        query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
        return functional.scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2).flatten(2)
    return torch.stack([_attended(*each, heads) for each in zip(query, key, value, strict=True)])


def _attended(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """The same of (positions, channels), some rows of one head at a time."""
    query, key = (x.unflatten(-1, (heads, -1)).transpose(0, 1) for x in (query, key))
    values = value.t().contiguous().unflatten(0, (heads, -1))  # all at once: one head's is no matrix that lies together
    out = query.new_empty(query.shape[1], heads, query.shape[2])
    for head, small in enumerate((_longest(query) * _longest(key) <= BOUND).tolist()):
        keys = key[head] * LOG2_E if small else key[head].contiguous()
        for start in range(0, len(out), ROWS):
            scores = product(query[head, start : start + ROWS], keys)
            attended = _by_powers(scores, values[head]) if small else product(scores.softmax(-1), values[head])
            out[start : start + ROWS, head] = attended
    return out.flatten(1)


def _longest(x: Tensor) -> Tensor:
    """The length of the longest vector of each head: no score is above the product of two."""
    return torch.linalg.vector_norm(x, dim=-1, dtype=torch.float32).amax(-1)


def _by_powers(scores: Tensor, values: Tensor) -> Tensor:
    """The softmax over scores, given as exponents of two, and its product with values (channels, positions).

    As no power overflows, no search for the greatest is needed; and what is divided is the product, which is smaller.
    """
    powers = scores.exp2_()
    return product(powers, values).div_(powers.sum(-1, keepdim=True))


def _scaled(state: State, name: str, scale: Tensor, like: Tensor) -> Linear | LinearInPanels | Linear8:
    """A linear layer with the `LayerScale` after it."""
    scale = scale.float()
    return linear(state[f"{name}.weight"].float() * scale[:, None], state[f"{name}.bias"].float() * scale, like)


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
