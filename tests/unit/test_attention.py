"""Attention against its definition, in double precision."""

import pytest
import torch

from functions.separate import kernels
from functions.separate.attention import BOUND, ROWS, attention
from tests.networks import EXACT, FAST, agreement

HEADS, WIDTH = 3, 16


@pytest.fixture(autouse=True, params=["plain", "compiled"])
def _layers(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)


def defined(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int = HEADS) -> torch.Tensor:
    query, key, value = (x.double().unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    return ((query @ key.transpose(2, 3)).softmax(-1) @ value).transpose(1, 2).flatten(2)


def given(largest: list[float], queries: int, keys: int) -> tuple[torch.Tensor, ...]:
    """Two samples' query, key and value, whose scores are up to `largest` in each head."""
    torch.manual_seed(queries)
    query, key, value = (torch.randn(2, n, HEADS, WIDTH) for n in (queries, keys, keys))
    scores = (query.transpose(1, 2) @ key.permute(0, 2, 3, 1)).abs().amax((2, 3))
    key *= (torch.tensor(largest) / scores)[:, None, :, None]
    return query.flatten(2), key.flatten(2), value.flatten(2)


@pytest.mark.parametrize("largest", [[0.1, 1, 10], [10, BOUND, 2 * BOUND], [100, 1000, 1600]], ids=str)
@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (ROWS + 1, 300)])
def test_attention_is_as_defined_however_large_the_scores(largest: list[float], queries: int, keys: int) -> None:
    query, key, value = given(largest, queries, keys)
    result = attention(query, key, value, HEADS)
    assert agreement(defined(query, key, value)[:, None], result[:, None]) >= EXACT


def test_heads_of_widths_that_are_not_compiled_are_left_to_operators() -> None:
    query, key, value = given([0.1, 1, 10], 5, 300)
    heads = HEADS * 2
    assert WIDTH // 2 not in kernels.HEADS
    result = attention(query, key, value, heads)
    assert agreement(defined(query, key, value, heads)[:, None], result[:, None]) >= EXACT


def test_attention_in_16_bits_is_close_to_it() -> None:
    query, key, value = (x.bfloat16() for x in given([0.1, 1, 10], ROWS + 1, 300))
    result = attention(query, key, value, HEADS)
    assert agreement(defined(query, key, value)[:, None], result.float()[:, None]) >= FAST


def test_scores_that_are_all_far_below_zero_count_like_any_others() -> None:
    query, value = torch.ones(1, 2, HEADS * WIDTH), torch.randn(1, 4, HEADS * WIDTH)
    result = attention(query, torch.full_like(value, -BOUND / WIDTH), value, HEADS)
    assert torch.allclose(result, value.mean(1, keepdim=True).expand_as(result), atol=1e-5)
