"""Encoding what people ask for, piece by piece and without ever going back: for an answer and the store at once."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
import numpy as np
from numpy.typing import NDArray

from medley.output import WAV_HEADER, Output
from medley.parts import SAMPLERATE, Values, to_int16

BLOCK = 1 << 16  # samples encoded at a time
LAME_QUALITY = "2"  # of 0 (best) to 9; demucs' --mp3-preset has the same default
TOTAL_SAMPLES = slice(21, 26)  # the bytes of a FLAC file that hold their number, in their last 36 bits
UNKNOWN = 0xFFFFFFFF  # a RIFF size that is beyond 32 bits; readers then read to the end of the file

Samples = NDArray[np.int16]  # (2, n)
Pieces = Iterator[bytes]


def encode(output: Output, blocks: Iterable[Values], length: int) -> Pieces:
    """A file of 16-bit stereo out of part values (2, n) of any length each, `length` samples in all.

    The same bytes come out however the values are cut into blocks.
    """
    return ENCODERS[output.format](output, _even(map(to_int16, blocks)), length)


def mix(stems: Sequence[Iterable[Values]]) -> Iterator[Values]:
    """The sum of several stems' blocks, which must be cut alike."""
    for blocks in zip(*stems, strict=True):
        yield np.sum(blocks, axis=0, dtype=np.int32)


def _even(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The same samples in blocks of one size, so that an encoder's frames do not depend on where parts end."""
    held = np.zeros((2, 0), np.int16)
    for block in blocks:
        held = np.concatenate([held, block], axis=1)
        whole = held.shape[1] // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            yield held[:, start : start + BLOCK]
        held = held[:, whole:]
    if held.size:
        yield held


def _wav(_: Output, blocks: Iterator[Samples], length: int) -> Pieces:
    """RIFF/WAVE, PCM. The sizes stand at the start, so the length must be known."""
    size = 4 * length
    riff = size + WAV_HEADER - 8
    known = riff <= UNKNOWN
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", riff if known else UNKNOWN, b"WAVE", b"fmt ", 16, 1, 2, SAMPLERATE,
                       4 * SAMPLERATE, 4, 16)  # fmt: skip
    yield head + struct.pack("<4sI", b"data", size if known else UNKNOWN)
    for block in blocks:
        yield np.ascontiguousarray(block.T).tobytes()


def _mp3(output: Output, blocks: Iterator[Samples], _: int) -> Pieces:
    """Constant bitrate, without a Xing header: that one is patched into the start when the end is reached."""
    options = {"write_xing": "0", "id3v2_version": "0"}
    encoder = {"compression_level": LAME_QUALITY}
    return _muxed("mp3", "libmp3lame", "s16p", blocks, options, encoder, output.bitrate * 1000)


def _flac(_: Output, blocks: Iterator[Samples], length: int) -> Pieces:
    """The number of samples is put into the first bytes, where FFmpeg would patch it at the end."""
    pieces = _muxed("flac", "flac", "s16", blocks, {}, {"compression_level": "5"}, 0)
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) >= TOTAL_SAMPLES.stop:
            break
    known = int.from_bytes(head[TOTAL_SAMPLES], "big") >> 36 << 36 | (length & (1 << 36) - 1)
    head[TOTAL_SAMPLES] = known.to_bytes(5, "big")
    yield bytes(head)
    yield from pieces


ENCODERS: dict[str, Callable[[Output, Iterator[Samples], int], Pieces]] = {"mp3": _mp3, "wav": _wav, "flac": _flac}


class _Pipe:
    """What FFmpeg writes to: it can only be appended to."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        """What has been written since the last time."""
        taken, self._held = bytes(self._held), bytearray()
        return taken


def _muxed(
    container: str,
    codec: str,
    sample_format: str,
    blocks: Iterator[Samples],
    options: dict[str, str],
    encoder: dict[str, str],
    bit_rate: int,
) -> Pieces:
    """FFmpeg's bytes as they come. `bit_rate` in bit/s, 0 for what has none."""
    pipe = _Pipe()
    with av.open(pipe, "w", format=container, options=options) as muxer:
        stream = muxer.add_stream(codec, rate=SAMPLERATE)
        stream.layout, stream.format, stream.options = "stereo", sample_format, encoder
        if bit_rate:
            stream.bit_rate = bit_rate
        for block in blocks:
            for packet in stream.encode(_frame(block, sample_format)):
                muxer.mux(packet)
            if piece := pipe.take():
                yield piece
        for packet in stream.encode(None):
            muxer.mux(packet)
    if piece := pipe.take():
        yield piece


def _frame(block: Samples, sample_format: str) -> av.AudioFrame:
    """Samples (2, n) as FFmpeg takes them: planar ("s16p") or interleaved ("s16")."""
    planar = sample_format.endswith("p")
    array = np.ascontiguousarray(block) if planar else np.ascontiguousarray(block.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(array, format=sample_format, layout="stereo")
    frame.sample_rate = SAMPLERATE
    return frame
