"""Opening what a client sent: any usual audio, and nothing that makes it open something else."""

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, BinaryIO

import av

from medley.boxes import claim_too_much
from medley.errors import BadAudio

# The demuxers allowed, by FFmpeg's names, and the extension that a song in such a file gets. None of them is for
# playlists, images, devices or networks: those make FFmpeg open what they name.
DEMUXERS = {
    "aac": "aac",
    "ac3": "ac3",
    "aiff": "aiff",
    "amr": "amr",
    "ape": "ape",
    "asf": "wma",
    "au": "au",
    "avi": "avi",
    "caf": "caf",
    "dsf": "dsf",
    "dts": "dts",
    "eac3": "eac3",
    "flac": "flac",
    "flv": "flv",
    "iff": "dff",
    "matroska": "mka",
    "mov": "m4a",
    "mp3": "mp3",
    "mpc": "mpc",
    "mpc8": "mpc",
    "mpeg": "mpg",
    "mpegts": "ts",
    "ogg": "ogg",
    "tak": "tak",
    "tta": "tta",
    "voc": "voc",
    "w64": "w64",
    "wav": "wav",
    "wv": "wv",
}
BY_CODEC = {("ogg", "opus"): "opus", ("matroska", "opus"): "webm", ("matroska", "vorbis"): "webm"}
WITH_VIDEO = {"mov": "mp4", "matroska": "mkv", "asf": "wmv"}

# What people upload by mistake, by its first bytes in lower case: told in words of its own.
MISTAKES = (
    (
        (b"#extm3u", b"ffconcat", b"[playlist]", b"<asx", b"<mpd", b"<?xml", b"<smil"),
        "a playlist, which only names songs",
    ),
    ((b"\x89png", b"\xff\xd8\xff", b"gif8", b"ii*\0", b"mm\0*"), "an image"),
    ((b"%pdf", b"<!doctype", b"<html", b"{"), "a document"),
    ((b"pk\x03\x04", b"\x1f\x8b", b"rar!", b"7z\xbc\xaf"), "an archive; unpack it first"),
    ((b"mthd",), "MIDI, which holds notes but no sound"),
)
# What may follow an ID3v2 tag, by its first bytes: after 1 MB of tag FFmpeg takes anything for MP3.
AFTER_A_TAG = {b"fLaC": "flac", b"TTA1": "tta", b"\xff\xf1": "aac", b"\xff\xf9": "aac"}
WITHOUT_A_TAG = (b"MAC ", b"OggS", b"\x0bw")  # FFmpeg skips none before these: Monkey's Audio, Ogg, AC-3
TAGS = 16  # that are skipped: a file may consist of them
TRY = "Upload a song as mp3, m4a, flac, wav, ogg or another audio format."
RATES = range(1000, 3_072_001)  # Hz that are believed
FAILURES = 8  # of the demuxer one after another, after which the file is taken to have ended
# Tags in no known encoding must not cost the song: PyAV 18 has to be told so, 19 gives them as lone surrogates.
UNDECODABLE = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
HOSTILE = (av.FFmpegError, ValueError, ArithmeticError, LookupError, MemoryError)  # what PyAV raises on broken bytes


class Source:
    """One audio stream of an open file."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._stream = _best(container)
        self._context = self._stream.codec_context
        self._context.thread_count = 1
        self.names = _plain_layout(self._context)
        self.time_base = float(self._stream.time_base or 0)
        for stream in container.streams:
            if stream is not self._stream:
                stream.discard = av.stream.Discard.all

    @property
    def extension(self) -> str:
        """By what is in the file."""
        format_ = self._container.format.name.split(",")[0]
        if format_ in WITH_VIDEO and any(_moving(stream) for stream in self._container.streams.video):
            return WITH_VIDEO[format_]
        return BY_CODEC.get((format_, self._context.name), DEMUXERS[format_])

    @property
    def title(self) -> str:
        """The song's title in its tags; empty when there is none."""
        for tags in (self._container.metadata, self._stream.metadata):
            for key, value in tags.items():
                if key.lower() == "title":
                    return str(value).encode(errors="surrogateescape").decode(errors="replace").strip()
        return ""

    def packets(self) -> Iterator[Any]:
        """The stream's packets; what cannot be read is skipped."""
        failures = 0
        while failures < FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    if packet.size:  # an empty one would end the decoder
                        yield packet
                return
            except HOSTILE:
                failures += 1

    def decode(self, packet: Any) -> list[Any]:
        """A packet's frames, or with None the decoder's last ones; none where they are broken."""
        try:
            frames: list[Any] = self._context.decode(packet)
        except HOSTILE:
            return []
        for frame in frames:
            if is_custom(frame.layout):
                _never_free(frame.layout)
        return [frame for frame in frames if frame.samples and frame.rate in RATES and _readable_as_it_is(frame.layout)]

    def frames(self) -> Iterator[Any]:
        """All that can be decoded."""
        for packet in self.packets():
            yield from self.decode(packet)
        yield from self.decode(None)


@contextmanager
def opened(file: BinaryIO) -> Iterator[Source]:
    """The best audio stream of a seekable file. Raises BadAudio, also for what makes FFmpeg fail in the block."""
    _check_mistakes(file)
    if claim_too_much(file):  # before FFmpeg makes an index of it
        raise BadAudio(f"The upload is damaged: its header tells of more than the file can hold. {TRY}")
    demuxer, start = _after_tags(file)
    try:
        container = av.open(
            _Nameless(file, start),
            mode="r",
            format=demuxer,
            options=_nothing_but_sound(),
            **UNDECODABLE,
        )
    except HOSTILE as error:
        raise BadAudio(f"The upload is in no audio format that is known here. {TRY}") from error
    with container:
        try:
            source = Source(container)
        except HOSTILE as error:
            raise _broken() from error
        try:
            yield source
        except av.FFmpegError as error:  # what else is raised there is no matter of the file's bytes
            raise _broken() from error


def _broken() -> BadAudio:
    return BadAudio(f"The upload is damaged: nothing can be made of it. {TRY}")


class _Nameless:
    """A file from `start` on without its name, which FFmpeg would judge the format by."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.read = file.read
        self._file, self._start = file, start
        self._size = file.seek(0, 2)
        file.seek(start)

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = 0) -> int:
        """No farther than the end: some systems refuse the offsets that broken files name."""
        at = min(offset + self._start, self._size) if whence == 0 else offset
        return self._file.seek(at, whence) - self._start


def _check_mistakes(file: BinaryIO) -> None:
    """Raises BadAudio for what is well known to be no audio."""
    file.seek(0)
    head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not head:
        raise BadAudio(f"The upload is empty. {TRY}")
    for starts, what in MISTAKES:
        if head.startswith(starts):
            raise BadAudio(f"The upload is {what}. {TRY}")


def _after_tags(file: BinaryIO) -> tuple[str | None, int]:
    """The demuxer for what follows ID3v2 tags at the start, which may hold large covers, and where FFmpeg has to begin.

    None where it can tell by itself.
    """
    at, head = 0, b""
    for _ in range(TAGS):
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        at += 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    file.seek(0)
    known = [name for magic, name in AFTER_A_TAG.items() if at and head.startswith(magic)]
    return known[0] if known else None, at if head.startswith(WITHOUT_A_TAG) else 0


def _best(container: Any) -> Any:
    """The audio stream that FFmpeg prefers, of those that it can decode."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not streams:
        what = "sound in a codec that is not known here" if container.streams.audio else "no sound"
        raise BadAudio(f"There is {what} in the upload. {TRY}")
    best = container.streams.best("audio")
    return best if best in streams else streams[0]


def _plain_layout(context: Any) -> tuple[str, ...]:
    """The channels' names. A layout of the file's own order is replaced by their mere number.

    PyAV (up to 18.1 at least) copies a custom layout's pointer and frees it with each copy: the process would abort.
    It is read once, which frees it once, and the decoder gets one without a pointer.
    """
    layout = context.layout
    names = tuple(channel.name for channel in layout.channels)
    if is_custom(layout):
        context.layout = f"{len(names)} channels"
    return names


def is_custom(layout: Any) -> bool:
    """Whether a layout may hold a pointer: FFmpeg describes those by their channels, "3 channels (FC+FL+FR)"."""
    return "(" in layout.name


def _readable_as_it_is(layout: Any) -> bool:
    """Whether a frame's samples can be had without copies of its layout, as more than 8 planes cannot."""
    return layout.nb_channels <= 8 or not is_custom(layout)


def _never_free(layout: Any) -> None:
    """Leaks a few bytes rather than have them freed twice, where a decoder makes a custom layout by itself."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))


def _moving(stream: Any) -> bool:
    """Whether a video stream is more than a cover."""
    return not stream.disposition & av.stream.Disposition.attached_pic


def _nothing_but_sound() -> dict[str, str]:
    """FFmpeg's options: only these demuxers and decoders of audio, and nothing is opened that a file names."""
    return {
        "format_whitelist": ",".join(DEMUXERS),
        "codec_whitelist": _audio_decoders(),
        "protocol_whitelist": "none",  # unlike PyAV's `io_open` it also binds what a demuxer opens in turn
    }


@cache
def _audio_decoders() -> str:
    """FFmpeg's audio decoders: no other decoder ever sees a client's bytes."""
    return ",".join(_readable(av.codecs_available))


def _readable(names: Iterable[str]) -> Iterator[str]:
    for name in sorted(names):
        try:
            codec = av.Codec(name, "r")
        except ValueError:  # an encoder only
            continue
        if codec.type == "audio":
            yield name
