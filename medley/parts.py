"""Parts: steps of a finished stem as FLAC files, 24 bit at half amplitude, so that peaks above full scale survive."""

import io
import os
from tempfile import TemporaryFile
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from medley.errors import Crash
from medley.models import SAMPLERATE

Values = NDArray[np.int32]  # (2, n): 24-bit values at half amplitude

SCALE = 1 << 22  # of a sample at full scale: half of 24 bits
HIGHEST = (1 << 23) - 1
LEVEL = 0.5  # of compression, libFLAC's 4: its 5, the default, takes 15 % more time for 0.1 % less
STEP = 128  # values to one step of 16 bits: 8 bits less, times two
BEYOND = (1 << 15) * STEP - STEP // 2  # the first value that rounds to more than 16 bits hold


def encode(values: Values) -> bytes:
    """Values (2, n) as a whole FLAC file.

    By libsndfile, which stays out of Python's way for a whole part: docs/decisions/2026-11-26-parts-by-libsndfile.md.
    """
    import soundfile  # only `separate` encodes, and its image alone has it

    interleaved = np.left_shift(values.T, 8, order="C")  # it wants the bits at the top
    with _scratch() as file:  # a file of Python's own would be called for every 4096 samples
        soundfile.write(
            file.fileno(), interleaved, SAMPLERATE, "PCM_24", format="FLAC", closefd=False, compression_level=LEVEL
        )
        file.seek(0)
        return file.read()


def _scratch() -> BinaryIO:
    """A file without a name; on Linux in memory: libsndfile keeps it to itself when a disk is full at a file's end."""
    return open(os.memfd_create("part"), "w+b") if hasattr(os, "memfd_create") else TemporaryFile()


def decode(data: bytes) -> Values:
    """The values (2, n) of a part. Raises Crash where it cannot be read; changed bits are for the store to find."""
    try:
        with av.open(io.BytesIO(data), format="flac") as container:
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        return np.ascontiguousarray(np.concatenate(frames, axis=1).reshape(-1, 2).T >> 8)
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise Crash("A stored part of this song is damaged; remove the song and upload it again.") from error


def to_int16(values: Values) -> NDArray[np.int16]:
    """The samples of 16-bit files: times two, rounded, clamped; halves go to the even neighbour."""
    steps = np.rint(values.astype(np.float32) / STEP)  # single precision holds 24 bits exactly
    return np.clip(steps, -(1 << 15), (1 << 15) - 1).astype(np.int16)


def clipped(values: Values) -> int:
    """How many samples are clamped in 16-bit files."""
    return int(np.count_nonzero(values >= BEYOND) + np.count_nonzero(values < -BEYOND - STEP))
