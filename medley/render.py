"""Rendering parts into the files that people ask for: as a stream, in flat memory, never going back."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import av
import numpy as np

from medley import frames, mp3
from medley.models import SAMPLERATE
from medley.mp3 import Pcm
from medley.output import Output
from medley.parts import Values, to_int16

CHUNK = mp3.CHUNK  # samples given to an encoder at a time, whatever the blocks' sizes
FLAC_LEVEL = "5"
UNKNOWN = 0xFFFFFFFF  # as a size in a wav header: to the end of the file, as streams say


def encode(output: Output, blocks: Iterable[Values], length: int) -> Iterator[bytes]:
    """A file, piece by piece, of blocks (2, n) of values as in parts, together `length` samples; b"" is nothing yet.

    The same samples give the same bytes, however they are cut into blocks.
    Raises ValueError when the blocks are not of that length: the file breaks off.
    """
    return ENCODERS[output.format](output, _chunks(blocks, length), length)


def mix(stems: Sequence[Iterable[Values]]) -> Iterator[Values]:
    """The sum of stems, block by block; the blocks of all stems are equally long. Above 24 bits nothing is lost."""
    for blocks in zip(*stems, strict=True):
        if len({block.shape for block in blocks}) > 1:
            raise ValueError("the stems' parts differ in length")
        yield blocks[0] if len(blocks) == 1 else np.sum(blocks, axis=0, dtype=np.int32)


def _wav(output: Output, chunks: Iterable[Pcm], length: int) -> Iterator[bytes]:
    start = wav_header(length)
    for chunk in chunks:  # what goes wrong with the first does so before anything was given
        yield start + chunk.astype("<i2", copy=False).tobytes()
        start = b""


def wav_header(length: int) -> bytes:
    """44 bytes. Beyond 4 GiB, which a wav's sizes cannot say, they are unknown: the file goes on to its end."""
    size = 4 * length
    fits = size + 36 < UNKNOWN
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, SAMPLERATE, SAMPLERATE * 4, 4, 16)
    riff = struct.pack("<4sI4s", b"RIFF", size + 36 if fits else UNKNOWN, b"WAVE")
    return riff + chunk + struct.pack("<4sI", b"data", size if fits else UNKNOWN)


def _mp3(output: Output, chunks: Iterable[Pcm], length: int) -> Iterator[bytes]:
    start = frames.info(length, output.bitrate)
    for piece in mp3.encode(chunks, output.bitrate):
        yield start + piece
        start = b""


def _flac(output: Output, chunks: Iterable[Pcm], length: int) -> Iterator[bytes]:
    pieces = _flac_of_unknown_length(chunks)
    yield flac_with_length(next(pieces), length)
    yield from pieces


def _flac_of_unknown_length(chunks: Iterable[Pcm]) -> Iterator[bytes]:
    sink = _Sink()
    with av.open(sink, "w", format="flac", options={"metadata_header_padding": "0"}) as container:
        stream = container.add_stream("flac", rate=SAMPLERATE, options={"compression_level": FLAC_LEVEL})
        stream.layout, stream.format = "stereo", "s16"
        for frame in _frames(chunks):
            container.mux(stream.encode(frame))
            if data := sink.drain():
                yield data
        container.mux(stream.encode(None))
    yield sink.drain()


def _frames(chunks: Iterable[Pcm]) -> Iterator[Any]:
    done = 0
    for chunk in chunks:
        frame = av.AudioFrame.from_ndarray(chunk.reshape(1, -1), "s16", "stereo")
        frame.rate, frame.pts = SAMPLERATE, done
        done += len(chunk)
        yield frame


def flac_with_length(start: bytes, length: int) -> bytes:
    """A FLAC file's start with the number of samples filled in, which an encoder of a stream cannot know.

    It is 36 bits from the middle of byte 13 of STREAMINFO (RFC 9639, 8.2), which begins after "fLaC" and 4 bytes more.
    """
    at = 4 + 4 + 13
    known = int.from_bytes(start[at : at + 5], "big") >> 36 << 36
    return start[:at] + (known | (length & (1 << 36) - 1)).to_bytes(5, "big") + start[at + 5 :]


Encode = Callable[[Output, Iterable[Pcm], int], Iterator[bytes]]
ENCODERS: dict[str, Encode] = {"mp3": _mp3, "wav": _wav, "flac": _flac}  # a format more: here and in medley.output


class _Sink:
    """A file that can only be written to, and emptied."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(data)
        return len(data)

    def drain(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def _chunks(blocks: Iterable[Values], length: int) -> Iterator[Pcm]:
    """The blocks' 16-bit samples, CHUNK of them at a time. Raises ValueError when they are not `length` in all."""
    rest = np.empty((0, 2), np.int16)
    done = 0
    for block in blocks:
        done += block.shape[1]
        rest = np.concatenate([rest, to_int16(block).T])
        while len(rest) >= CHUNK:
            yield np.ascontiguousarray(rest[:CHUNK])
            rest = rest[CHUNK:]
    if done != length:
        raise ValueError(f"the parts hold {done} samples, not {length}")
    if len(rest):
        yield np.ascontiguousarray(rest)
