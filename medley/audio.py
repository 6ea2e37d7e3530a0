"""Songs as they come: what an upload is, and its sound as two channels of floats on disk."""

import math
import mmap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from medley.channels import floats, stereo
from medley.demux import TRY, Source, opened
from medley.errors import BadAudio
from medley.models import SAMPLERATE

Samples = NDArray[np.float32]

SHORTEST = 0.001  # s: no format has shorter packets, so whoever says so lies about the length
BLOCK = 1 << 16  # samples that are handled at a time
LOUDEST = 100.0  # times full scale; a float file may hold anything
CHANGES = 100  # of the rate within a song: each takes a resampler of its own, and longer than decoding a frame
GRACE = 1.0  # s that decoding may give beyond what the packets said: encoders add a little at both ends


@dataclass(frozen=True)
class Probe:
    """What an upload is. `extension` by its content, `seconds` by its packets, rate (Hz) and channels by its sound."""

    extension: str
    seconds: float
    samplerate: int
    channels: int
    title: str


@dataclass(frozen=True)
class Mix:
    """A decoded song: `samples` (2, length) float32; mean and unbiased deviation of the mean of both channels."""

    samples: Samples
    length: int
    mean: float
    deviation: float

    def stretch(self, first: int, end: int) -> Samples:
        """A copy of the samples from `first` to before `end`, (2, n)."""
        copy = np.array(self.samples[:, first:end])
        if mapped := getattr(self.samples, "_mmap", None):
            mapped.madvise(mmap.MADV_DONTNEED)  # else all that was read of the file counts as this process's memory
        return copy


def probe(file: BinaryIO, max_seconds: float) -> Probe:
    """What is in a seekable file; its name is never looked at. Raises BadAudio, saying what to do."""
    with opened(file) as source:
        seconds, frame = _walk(source, max_seconds)
        return Probe(source.extension, seconds, frame.rate, frame.layout.nb_channels, source.title)


def decode(file: BinaryIO, out: BinaryIO, samplerate: int = SAMPLERATE, max_seconds: float = float("inf")) -> Mix:
    """The song in a seekable file as floats in the file `out`, in flat memory; broken packets are left out.

    `out` is open for reading as well, empty, and may be closed then: what is there stays mapped.

    Raises BadAudio when nothing can be decoded, or more than `max_seconds`.
    """
    totals = _Totals()
    with opened(file) as source:
        for block in _blocks(source, samplerate):
            totals.add(block)
            if totals.length > (max_seconds + GRACE) * samplerate:
                raise _too_long(max_seconds)
            out.write(block.data)  # interleaved: a segment is one stretch of the file
    if not totals.length:
        raise _nothing_decodes()
    out.flush()
    samples = np.memmap(out, np.float32, "r", shape=(totals.length, 2)).T
    return Mix(samples, totals.length, totals.mean, totals.deviation)


def _walk(source: Source, max_seconds: float) -> tuple[float, Any]:
    """Seconds by the packets' own durations, as headers lie; and the first frame that can be decoded."""
    first, ticks, least, frame = None, 0, 0.0, None
    for packet in source.packets():
        least += SHORTEST
        ticks += max(packet.duration or 0, 0)
        first = packet.pts if first is None else first
        seconds = (ticks or (packet.pts or 0) - (first or 0)) * source.time_base
        if max(seconds, least) > max_seconds:
            raise _too_long(max_seconds)
        frame = frame or next(iter(source.decode(packet)), None)
    if not least:
        raise BadAudio(f"The upload holds 0 seconds of sound. {TRY}")
    frame = frame or next(iter(source.decode(None)), None)
    if frame is None:
        raise _nothing_decodes()
    return max(seconds, frame.samples / frame.rate), frame


def _blocks(source: Source, samplerate: int) -> Iterator[Samples]:
    """The song as blocks (n, 2) at `samplerate`; it may change its channels on the way, and a few times its rate."""
    for changes, (rate, runs) in enumerate(groupby(_stereo(source), key=lambda piece: piece[0])):
        if changes > CHANGES:
            raise BadAudio(f"The song changes its sample rate more than {CHANGES} times: it is damaged. {TRY}")
        pieces = _joined(samples for _, samples in runs)
        yield from pieces if rate == samplerate else _resampled(pieces, rate, samplerate)


def _stereo(source: Source) -> Iterator[tuple[int, Samples]]:
    """Each frame's rate and samples (n, 2)."""
    for frame in source.frames():
        names = tuple(channel.name for channel in frame.layout.channels)
        known = names if names and names[0] != "NONE" else source.names
        with suppress(av.FFmpegError):  # such a frame is left out like one that is broken
            yield frame.rate, stereo(floats(frame), known)


def _joined(pieces: Iterable[Samples]) -> Iterator[Samples]:
    """Short pieces put together to about BLOCK samples."""
    waiting: list[Samples] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        if count >= BLOCK:
            yield _sane(np.ascontiguousarray(np.concatenate(waiting)))
            waiting, count = [], 0
    if count:
        yield _sane(np.ascontiguousarray(np.concatenate(waiting)))


def _sane(block: Samples) -> Samples:
    """A block of finite numbers that are not absurdly loud: float files may hold anything."""
    if block.max() <= LOUDEST and block.min() >= -LOUDEST:  # neither is true of a NaN
        return block
    return np.clip(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0), -LOUDEST, LOUDEST)


def _resampled(blocks: Iterable[Samples], rate: int, samplerate: int) -> Iterator[Samples]:
    resampler = av.AudioResampler(format="flt", layout="stereo", rate=samplerate)
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), "flt", "stereo")
        frame.rate = rate
        yield from _arrays(resampler.resample(frame))
    yield from _arrays(resampler.resample(None))


def _arrays(frames: Iterable[Any]) -> Iterator[Samples]:
    for frame in frames:
        if frame is not None and frame.samples:
            yield frame.to_ndarray().reshape(-1, 2)


class _Totals:
    """Length, mean and deviation of the mean of both channels, added up in double precision."""

    def __init__(self) -> None:
        self.length = 0
        self._sum = 0.0
        self._squares = 0.0

    def add(self, block: Samples) -> None:
        mono = block[:, 0].astype(np.float64)
        mono += block[:, 1]
        mono *= 0.5
        self.length += len(mono)
        self._sum += float(mono.sum())
        self._squares += float(
            np.square(mono, out=mono).sum()
        )  # no product: the threads that BLAS has would go on spinning

    @property
    def mean(self) -> float:
        return self._sum / self.length

    @property
    def deviation(self) -> float:
        """Unbiased; 0 for a single sample."""
        return math.sqrt(max(0.0, self._squares - self._sum * self.mean) / max(1, self.length - 1))


def _too_long(max_seconds: float) -> BadAudio:
    return BadAudio(f"The song is longer than {max_seconds:g} seconds, the limit here. Upload it in shorter pieces.")


def _nothing_decodes() -> BadAudio:
    return BadAudio(f"Nothing in the upload can be decoded: it is damaged, encrypted or no audio. {TRY}")
