"""What people ask for: a stem, or the mix without one, in a format; named without any audio library."""

import re
from dataclasses import dataclass

from medley.errors import BadTrack, NotFound
from medley.models import ALIASES

WAV_HEADER = 44  # bytes
CONTENT_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac"}
FORMATS = tuple(CONTENT_TYPES)
# Of originals, by what medley.demux calls them: what a system's own list says differs, and a .ts is a text to some.
ORIGINALS = CONTENT_TYPES | {
    "aac": "audio/aac",
    "ac3": "audio/ac3",
    "aiff": "audio/aiff",
    "amr": "audio/amr",
    "ape": "audio/x-ape",
    "au": "audio/basic",
    "avi": "video/x-msvideo",
    "caf": "audio/x-caf",
    "dff": "audio/x-dff",
    "dsf": "audio/x-dsf",
    "dts": "audio/vnd.dts",
    "eac3": "audio/eac3",
    "flv": "video/x-flv",
    "m4a": "audio/mp4",
    "mka": "audio/x-matroska",
    "mkv": "video/x-matroska",
    "mp4": "video/mp4",
    "mpc": "audio/x-musepack",
    "mpg": "video/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "tak": "audio/x-tak",
    "ts": "video/mp2t",
    "tta": "audio/x-tta",
    "voc": "audio/x-voc",
    "w64": "audio/x-w64",
    "webm": "audio/webm",
    "wma": "audio/x-ms-wma",
    "wmv": "video/x-ms-wmv",
    "wv": "audio/x-wavpack",
}
BITRATES = (128, 160, 192, 224, 256, 320)  # kbit/s of MP3; the last is the default
DEFAULT_BITRATE = BITRATES[-1]

_FILE = re.compile(r"(no_)?([a-z]+)(?:\.(\d+)k)?\.([a-z0-9]+)")


@dataclass(frozen=True)
class Output:
    """One file to render. `bitrate` in kbit/s, of MP3 only."""

    stem: str
    format: str
    bitrate: int = 0
    complement: bool = False  # the mix without the stem

    @property
    def track(self) -> str:
        """Its name in a URL."""
        return f"{'no_' if self.complement else ''}{self.stem}.{self.format}"

    @property
    def file(self) -> str:
        """Its name in the store: the default bitrate is not said."""
        if self.format != "mp3" or self.bitrate == DEFAULT_BITRATE:
            return self.track
        return f"{'no_' if self.complement else ''}{self.stem}.{self.bitrate}k.mp3"

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.format]

    def sources(self, stems: tuple[str, ...]) -> tuple[str, ...]:
        """The stems, of all those of the model, that it is made of."""
        return tuple(stem for stem in stems if (stem == self.stem) != self.complement)

    def size(self, length: int) -> int | None:
        """Bytes of the file for `length` samples, where that is known before rendering."""
        return WAV_HEADER + 4 * length if self.format == "wav" else None


def parse(track: str, stems: tuple[str, ...], bitrate: int = DEFAULT_BITRATE) -> Output:
    """The output that a URL names: `vocals`, `vocals.wav`, `no_vocals.mp3`, `base` for `bass`.

    Raises BadTrack for a format and NotFound for a stem that there is not.
    """
    if not stems:
        raise NotFound("The stems of this song are not known: its model is not installed here any more.")
    name, _, format_ = track.partition(".")
    format_ = format_ or "mp3"
    if format_ not in FORMATS:
        raise BadTrack(f"{format_[:20]!r} is no format; there are {', '.join(FORMATS)}.", offered=list(FORMATS))
    complement = name.startswith("no_")
    stem = name.removeprefix("no_")
    stem = ALIASES.get(stem, stem)
    if stem not in stems:
        known = f"{', '.join(stems)}, each also as no_<stem> for the mix without it, and original"
        raise NotFound(f"{name[:40]!r} is no track of this song; there are {known}.")
    return Output(stem, format_, bitrate if format_ == "mp3" else 0, complement)


def parse_file(file: str) -> Output | None:
    """The output that a stored file is; None for any other object."""
    match = _FILE.fullmatch(file)
    if match is None:
        return None
    complement, stem, bitrate, format_ = match.groups()
    if stem == "original" or format_ not in FORMATS:
        return None
    kbits = int(bitrate) if bitrate else DEFAULT_BITRATE
    return Output(stem, format_, kbits if format_ == "mp3" else 0, bool(complement))
