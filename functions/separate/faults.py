"""What PyTorch raises where memory runs out or a GPU fails, told apart in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from medley.errors import DeviceLost

# Only the allocator of a GPU's memory has an error of its own. Not so what else asks CUDA for memory (pinned memory,
# kernels that are loaded on first use, graphs that are started), the libraries beside it, and a CPU's allocator.
FULL = ("out of memory", "_ALLOC_FAILED", "can't allocate memory")


def out_of_memory(error: RuntimeError) -> bool:
    """Whether it says that memory ran out, of the GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in FULL)


@contextmanager
def told_apart() -> Iterator[None]:
    """Raises torch.OutOfMemoryError for whatever means that, and DeviceLost for all else that a GPU fails by."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        if out_of_memory(error):
            raise torch.OutOfMemoryError(str(error)) from error
        if isinstance(error, torch.AcceleratorError):
            raise DeviceLost(f"The GPU failed: {error}", retry_after=10) from error
        raise
