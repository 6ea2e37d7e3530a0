"""The transformer's layers of HTDemucs, with attention in the way that is quickest for the type of its numbers."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def self_layer(layer: Any, x: Tensor) -> Tensor:
    """`demucs.transformer.MyTransformerEncoderLayer.forward`, normalising first; x is (batch, positions, channels)."""
    normed = layer.norm1(x)
    x = torch.addcmul(x, _attended(layer.self_attn, normed, normed), layer.gamma_1.scale)
    return _fed_forward(layer, x, layer.norm2(x))


def cross_layer(layer: Any, x: Tensor, other: Tensor) -> Tensor:
    """`demucs.transformer.CrossTransformerEncoderLayer.forward`, normalising first: x attends to the other branch."""
    attended = _attended(layer.cross_attn, layer.norm1(x), layer.norm2(other))
    x = torch.addcmul(x, attended, layer.gamma_1.scale)
    return _fed_forward(layer, x, layer.norm3(x))


def _fed_forward(layer: Any, x: Tensor, normed: Tensor) -> Tensor:
    forward = layer.linear2(functional.gelu(layer.linear1(normed)))
    x = torch.addcmul(x, forward, layer.gamma_2.scale)
    out: Tensor = layer.norm_out(x) if layer.norm_out else x
    return out


def _attended(attention: Any, x: Tensor, other: Tensor) -> Tensor:
    """Multi-head attention of x to another sequence, by the weights of an `nn.MultiheadAttention`."""
    batch, length, width = x.shape
    heads = attention.num_heads
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    query = functional.linear(x, weight[:width], bias[:width]).view(batch, length, heads, -1).transpose(1, 2)
    both = functional.linear(other, weight[width:], bias[width:])
    key, value = both.view(batch, -1, 2, heads, width // heads).permute(2, 0, 3, 1, 4)
    attended = _attention(query, key, value).transpose(1, 2).reshape(batch, length, width)
    out: Tensor = attention.out_proj(attended)
    return out


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k' / sqrt(d)) v.

    On a CPU in bfloat16 the flash kernel takes twice as long as two products with the softmax between them; in float32
    it is the other way round.
    """
    if query.dtype is not torch.bfloat16 or query.is_cuda:
        return functional.scaled_dot_product_attention(query, key, value)
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    return torch.matmul(scores.softmax(-1), value)
