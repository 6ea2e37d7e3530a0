"""How HTDemucs' layers are computed: what a processor has no part in, so that tests of either run on any."""

import pytest
import torch

from functions.separate import kernels
from functions.separate.kernels.build import fits
from tests.backends import missing


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """By PyTorch's operators."""
    monkeypatch.setattr(kernels, "AVX2_ALONE", False)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernels, as on a processor with AVX2 alone."""
    if not fits() or "AVX" not in torch.backends.cpu.get_cpu_capability():
        pytest.skip("this processor or system has none")
    if not kernels.there():
        missing("the library of compiled layers")
    monkeypatch.setattr(kernels, "AVX2_ALONE", True)
