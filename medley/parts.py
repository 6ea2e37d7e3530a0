"""A part: one step of one stem as FLAC, 24 bit at half amplitude, so that peaks up to twice full scale survive."""

import io

import av
import numpy as np
from numpy.typing import NDArray

SAMPLERATE = 44100  # Hz, of every model of demucs
SCALE = 1 << 22  # of a sample at full scale: half of what 24 bits hold
LOWEST, HIGHEST = -(1 << 23), (1 << 23) - 1
TO_16_BIT = 128  # part values to a step of a 16-bit sample: times two, and eight bits less

Values = NDArray[np.int32]


def quantise(samples: NDArray[np.float32]) -> Values:
    """Samples (2, n), full scale 1.0, as 24-bit values at half amplitude."""
    return np.clip(np.rint(samples.astype(np.float64) * SCALE), LOWEST, HIGHEST).astype(np.int32)


def encode(values: Values) -> bytes:
    """A FLAC file of values (2, n)."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLERATE)
        stream.layout, stream.format = "stereo", "s32"
        # FFmpeg takes 24 bits in the upper part of 32.
        packed = np.ascontiguousarray((values << 8).T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s32", layout="stereo")
        frame.sample_rate = SAMPLERATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def decode(data: bytes) -> Values:
    """The values (2, n) of a part's file."""
    with av.open(io.BytesIO(data), format="flac") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    values: Values = np.concatenate(frames, axis=1).reshape(-1, 2).T >> 8
    return np.ascontiguousarray(values)


def to_int16(values: Values) -> NDArray[np.int16]:
    """16-bit samples: times two, rounded, and clamped where they are beyond full scale."""
    rounded = np.rint(values / TO_16_BIT)
    return np.clip(rounded, -(1 << 15), (1 << 15) - 1).astype(np.int16)


def clipped(values: Values) -> int:
    """How many samples `to_int16` clamps."""
    rounded = np.rint(values / TO_16_BIT)
    return int(np.count_nonzero((rounded < -(1 << 15)) | (rounded > (1 << 15) - 1)))
