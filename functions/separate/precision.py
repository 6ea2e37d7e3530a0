"""In which precision to compute: in 16 bits where the hardware is faster at it, never where it only emulates them."""

import platform
import time
from functools import cache
from typing import Any

import torch

FASTER = 1.5  # times, by which 16 bits must win
SIZE = 512  # of the products that are measured


def choose(wish: str, device: str) -> str:
    """ "exact" or "fast", for a wish of these or "auto"."""
    return "fast" if wish != "exact" and (device == "cuda" or _is_bf16_faster()) else "exact"


def dtype_of(precision: str, device: str) -> torch.dtype:
    """Of a network's layers."""
    if precision == "exact":
        return torch.float32
    return torch.float16 if device == "cuda" else torch.bfloat16


def _is_bf16_faster() -> bool:
    """An x86 processor says so; any other one is tried, in a few milliseconds."""
    cpu: Any = torch.cpu
    if platform.machine() in ("x86_64", "AMD64"):
        return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())
    return _is_measured_faster()


@cache  # or songs, and attempts at one, would be in the precision that each happened to be measured in
def _is_measured_faster() -> bool:
    return _seconds(torch.bfloat16) * FASTER < _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """Of a product of two matrices, the shortest of three."""
    matrix = torch.ones(SIZE, SIZE, dtype=dtype)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        times.append(time.perf_counter() - began)
    return min(times)
