"""What was uploaded: whether it is a song, and its samples; through FFmpeg, which is told nothing the client said."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from medley.errors import BadAudio

# FFmpeg's demuxers for files that hold audio, and the extension that each format's files have. No playlist, image or
# network format: those open other files and hosts.
EXTENSIONS = {
    "mp3": "mp3", "wav": "wav", "flac": "flac", "ogg": "ogg", "mov": "m4a", "matroska": "mka", "aac": "aac",
    "aiff": "aiff", "asf": "wma", "ape": "ape", "wv": "wv", "tta": "tta", "caf": "caf", "ac3": "ac3", "eac3": "eac3",
    "amr": "amr", "w64": "w64", "au": "au", "mpegts": "ts", "mpeg": "mpg", "dsf": "dsf", "dts": "dts", "mp2": "mp2",
    "mpc": "mpc", "mpc8": "mpc", "rm": "rm", "avi": "avi", "flv": "flv", "iff": "iff", "aea": "aea",
}  # fmt: skip
WHITELIST = ",".join([*EXTENSIONS, "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"])
OPTIONS = {"format_whitelist": WHITELIST, "protocol_whitelist": "", "enable_drefs": "0"}

FRAMES = 8  # that may fail to decode before the first that does
WRONG = (av.FFmpegError, ValueError, UnicodeError, OverflowError, IndexError, MemoryError)


@dataclass(frozen=True)
class Probe:
    """What an upload is: `seconds` of audio by its packets, not by what its header says."""

    extension: str
    seconds: float
    samplerate: int
    channels: int
    title: str


@dataclass(frozen=True)
class Mix:
    """A decoded song: samples (2, length) at the model's rate, on disk; mean and deviation of its mono mix."""

    samples: NDArray[np.float32]
    length: int
    mean: float
    deviation: float


class _Unnamed:
    """A file without a name: FFmpeg would guess formats from it, playlists among them."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def probe(file: BinaryIO, max_seconds: float) -> Probe:
    """Looks at an upload without decoding all of it. Raises BadAudio, which says what to do."""
    file.seek(0)
    with _opened(file) as (container, stream):
        seconds = 0.0
        decoded = False
        failures = 0
        for packet in _packets(container, stream):
            seconds += float((packet.duration or 0) * (packet.time_base or 0))
            if seconds > max_seconds:
                raise _too_long(max_seconds)
            if not decoded and failures < FRAMES:
                decoded = _decodes(packet)
                failures += not decoded
        if not decoded:
            raise BadAudio("Nothing in the upload can be decoded; is the file damaged, or copy-protected?")
        return Probe(_extension(container, stream), seconds, *_about(stream), title=_title(container))


def decode(file: BinaryIO, path: Path, samplerate: int, max_seconds: float) -> Mix:
    """Decodes a whole song into a file at `path`, in flat memory. Raises BadAudio.

    Damaged packets are left out. Mono becomes both channels as it is; more than two are mixed down by FFmpeg.
    """
    file.seek(0)
    sums = _Sums()
    with _opened(file) as (container, stream), path.open("wb") as out:
        for block in _blocks(container, stream, samplerate):
            sums.add(block)
            if sums.count > max_seconds * samplerate:
                raise _too_long(max_seconds)
            out.write(np.ascontiguousarray(block.T).tobytes())
    if not sums.count:
        raise BadAudio("Nothing in the upload can be decoded; is the file damaged?")
    samples = np.memmap(path, np.float32, "r", shape=(sums.count, 2)).T
    return Mix(samples, sums.count, sums.mean, sums.deviation)


def _too_long(max_seconds: float) -> BadAudio:
    return BadAudio(f"The song is longer than {max_seconds:g} s; cut it.", max_seconds=max_seconds)


@contextmanager
def _opened(file: BinaryIO) -> Iterator[tuple[Any, Any]]:
    """The container and its audio stream. Raises BadAudio."""
    try:
        container = av.open(_Unnamed(file), "r", options=OPTIONS, metadata_errors="replace")
    except WRONG:
        raise BadAudio(
            "The upload is no audio that can be read here. Send a song as mp3, wav, flac, ogg, m4a or the like; "
            "playlists and pictures are none."
        ) from None
    with container:
        stream = container.streams.best("audio")
        if stream is None or not stream.codec_context:
            raise BadAudio("The upload has no audio in it.")
        try:
            yield container, stream
        except WRONG as error:
            raise BadAudio(f"The audio cannot be read: {type(error).__name__}.") from error


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, up to where the file breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        if packet.size:
            yield packet


def _decodes(packet: Any) -> bool:
    try:
        return any(frame.samples for frame in packet.decode())
    except WRONG:
        return False


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Every frame that decodes, those held back by the decoder last."""
    for packet in _packets(container, stream):
        try:
            yield from packet.decode()
        except WRONG:
            continue
    try:
        yield from stream.codec_context.decode(None)
    except WRONG:
        return


def _blocks(container: Any, stream: Any, samplerate: int) -> Iterator[NDArray[np.float32]]:
    """Samples (2, n) at `samplerate`."""
    resampler, kind = None, None
    for frame in _frames(container, stream):
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or now != kind:
            yield from _resampled(resampler, None)
            # Made anew where the stream changes. Mono stays mono here: FFmpeg would make it 3 dB quieter as stereo.
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            resampler, kind = av.AudioResampler("fltp", layout, samplerate), now
        frame.pts = None  # gaps in the time stamps are no silence
        yield from _resampled(resampler, frame)
    yield from _resampled(resampler, None)


def _resampled(resampler: Any, frame: Any) -> Iterator[NDArray[np.float32]]:
    if resampler is None:
        return
    for out in resampler.resample(frame):
        array: NDArray[np.float32] = out.to_ndarray()
        finite = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
        yield np.repeat(finite, 2, axis=0) if finite.shape[0] == 1 else finite


class _Sums:
    """Mean and unbiased deviation of a mono mix, in one pass."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = self._squares = 0.0

    def add(self, block: NDArray[np.float32]) -> None:
        mono = block.astype(np.float64).mean(axis=0)
        self.count += mono.shape[0]
        self._sum += float(mono.sum())
        self._squares += float(np.square(mono).sum())

    @property
    def mean(self) -> float:
        return self._sum / self.count

    @property
    def deviation(self) -> float:
        if self.count < 2:
            return 0.0
        return float(np.sqrt(max(0.0, self._squares - self._sum * self.mean) / (self.count - 1)))


def _extension(container: Any, stream: Any) -> str:
    """By the format that was found."""
    name = container.format.name.split(",")[0]
    if name == "ogg" and stream.codec_context.name.endswith("opus"):
        return "opus"
    return EXTENSIONS.get(name, "audio")


def _about(stream: Any) -> tuple[int, int]:
    return int(stream.codec_context.sample_rate or 0), int(stream.codec_context.channels or 0)


def _title(container: Any) -> str:
    """ "Artist - Title" of the tags, as far as there are any."""
    tags = {name.lower(): value for name, value in container.metadata.items()}
    return " - ".join(tags[name] for name in ("artist", "title") if tags.get(name))
