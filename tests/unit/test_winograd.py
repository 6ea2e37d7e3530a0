"""Convolutions in fewer products beside oneDNN's own."""

import pytest
import torch
from torch import Tensor

from functions.separate import products, winograd
from functions.separate.products import Gated
from functions.separate.winograd import FewerProducts, gated_convolutions
from tests.networks import EXACT, agreement

CHANNELS, ROWS = 6, 5
LIKE = torch.empty(0)


def made(avx2: bool, monkeypatch: pytest.MonkeyPatch, kernel: tuple[int, int] = (3, 3)) -> Gated | FewerProducts:
    monkeypatch.setattr(products, "AVX2_ALONE", avx2)
    torch.manual_seed(0)
    halves = [(torch.randn(CHANNELS, CHANNELS, *kernel), torch.randn(CHANNELS)) for _ in range(2)]
    return gated_convolutions(halves, LIKE, (kernel[0] // 2, kernel[1] // 2))


def song(batch: int, positions: int) -> Tensor:
    return torch.randn(batch, CHANNELS, ROWS, positions).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("piece", [1, 3 * 8 * CHANNELS, 1 << 20], ids=["row by row", "three rows", "all at once"])
@pytest.mark.parametrize("positions", [1, 3, 4, 8, 10])
def test_it_is_the_same_convolution(positions: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "PIECE", piece)
    plain, fewer, x = made(False, monkeypatch), made(True, monkeypatch), song(2, positions)
    assert (type(plain), type(fewer)) == (Gated, FewerProducts)
    found = fewer(x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert agreement(plain(x), found) >= EXACT


def test_other_kernels_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(made(True, monkeypatch, (1, 3)), Gated)
