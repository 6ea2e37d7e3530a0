"""Keeping memory between segments: glibc gives every large tensor back to the kernel, and asks for it again at once."""

import ctypes
import sys

# malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
NEVER = (1 << 31) - 1  # bytes
KERNELS = b"384"  # HTDemucs has 134, each for one thread and for all of them


def keep_memory() -> bool:
    """Lets the process keep what it has freed; whether that could be set.

    It saves about 440,000 page faults a segment of HTDemucs. One arena: that of a thread other than the main one is too
    small for tensors, and `give_back` does not reach what lies free at its end. A thread that had one before this was
    called goes on with it. And oneDNN keeps no more kernels than a model needs: its default of 1024 fills slowly with
    those for songs' last segments, each of another length.
    """
    ctypes.CDLL(None).setenv(b"ONEDNN_PRIMITIVE_CACHE_CAPACITY", KERNELS, 0)  # it looks there on first use
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False  # musl
    return all(
        mallopt(option, value) for option, value in ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER))
    )


def give_back() -> None:
    """Between songs: what is free goes back to the kernel, or the gaps that songs of different lengths leave add up."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
