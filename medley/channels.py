"""Decoded frames as floats, and any number of channels as two: mono at its level, more by where they stand."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# How loud a channel is on the left and on the right (ITU-R BS.775): FFmpeg's names, the low-frequency effects left out.
HALF = 0.5**0.5
LEFT, RIGHT, MIDDLE, QUIET = (1.0, 0.0), (0.0, 1.0), (HALF, HALF), (0.0, 0.0)
PLACES = {"FL": LEFT, "DL": LEFT, "FR": RIGHT, "DR": RIGHT, "FC": MIDDLE, "LFE": QUIET, "LFE2": QUIET}
LEFT_SIDE = ("BL", "SL", "WL", "FLC", "TFL", "TBL")
RIGHT_SIDE = ("BR", "SR", "WR", "FRC", "TFR", "TBR")
PLACES |= dict.fromkeys(LEFT_SIDE, (HALF, 0.0)) | dict.fromkeys(RIGHT_SIDE, (0.0, HALF))
ELSEWHERE = (0.5, 0.5)

# Of whole numbers, by their bytes: what silence is, and the step
MIDDLES_AND_SCALES = {1: (128, 2.0**-7), 2: (0, 2.0**-15), 4: (0, 2.0**-31)}

DIRECT = {f"{name}{planes}" for name in ("u8", "s16", "s32", "flt", "dbl") for planes in ("", "p")}

# What stands where when a file does not say.
USUAL = {
    2: ("FL", "FR"),
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


def floats(frame: Any) -> Samples:
    """A decoded frame's samples (n, channels), full scale at 1.0. Raises av.FFmpegError when it cannot be told."""
    channels = frame.layout.nb_channels
    if frame.format.name not in DIRECT or (frame.format.is_planar and channels > 8):
        # PyAV (18.1) does not know 64-bit numbers, and reads past the end of a list of more than 8 planes.
        (frame,) = av.AudioResampler(format="flt").resample(frame)
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    samples: Samples = values.astype(np.float32, copy=False)
    if values.dtype.kind == "f":
        return samples
    middle, scale = MIDDLES_AND_SCALES[values.dtype.itemsize]
    return (samples - np.float32(middle)) * np.float32(scale)


def stereo(samples: Samples, names: Iterable[str] = ()) -> Samples:
    """(n, channels) as (n, 2); `names` are the channels' as FFmpeg calls them.

    A mixdown is scaled so that it never clips where the channels do not.
    """
    if samples.shape[1] == 1:
        return np.broadcast_to(samples, (len(samples), 2))
    matrix = weights(samples.shape[1], tuple(names))
    return samples if np.array_equal(matrix, np.eye(2)) else samples @ matrix.T


@lru_cache(64)
def weights(count: int, names: tuple[str, ...] = ()) -> Samples:
    """The mixdown of `count` channels, (2, count): neither row's weights add up to more than 1."""
    if len(names) != count or not any(name in PLACES for name in names):
        names = USUAL.get(count, ("",) * count)
    matrix = np.array([PLACES.get(name, ELSEWHERE) for name in names], np.float32).T
    loudest = float(matrix.sum(axis=1).max()) or 1.0
    return matrix / np.float32(loudest)
