"""The machine's own rate of multiplying matrices (`python -m benchmarks.gemm`): what a network could reach at best."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.child import serve

SIZE = 2048  # rows and columns
SECONDS = 0.5  # for which it is done at least


def rate(multiply: Callable[[Any, Any], Any], one: Any, other: Any) -> float:
    begin, count = time.perf_counter(), 0
    while (seconds := time.perf_counter() - begin) < SECONDS or count < 2:
        multiply(one, other)
        count += 1
    return 2e-9 * SIZE**3 * count / seconds


def main() -> None:
    """Answers {precision} with GFLOP/s of the quicker library, a multiplication and an addition counting as two."""
    import torch

    onednn = torch.ops.mkldnn._linear_pointwise
    libraries = (torch.mm, lambda one, other: onednn(one, other, None, "none", [], ""))

    def answer(precision: str) -> float:
        one, other = (torch.randn(SIZE, SIZE).to(getattr(torch, precision)) for _ in range(2))
        rates = [0.0]
        for multiply in libraries:
            with suppress(RuntimeError):  # oneDNN takes no bfloat16 on a processor with AVX2 alone
                rates.append(rate(multiply, one, other))
        return max(rates)

    serve(answer)


if __name__ == "__main__":
    main()
