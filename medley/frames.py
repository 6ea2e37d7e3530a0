"""Frames of MP3 streams, and how to go on from one stream in the middle of another of the same sound.

As in ISO 11172-3, 2.4: MPEG-1 layer III, two channels, no checksum, 44.1 kHz. What to mind where streams are joined is
from fre:ac's SuperFast LAME (its developer's blog, 2018-07-20), which packs all frames anew instead.
"""

from collections.abc import Sequence

from medley.models import SAMPLERATE

Frame = bytes | bytearray

FRAME = 1152  # samples: two granules
KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # by index
HEADER, SIDE = 4, 32  # bytes of the header and of the side information; main data follow
DATA = HEADER + SIDE
GRANULES = 20  # bits of the side information before those of the granules
GRANULE = 59  # bits of it about one channel of a granule
WINDOW = 33  # of them, before window_switching_flag
SETTLED = 6  # frames after which an encoder has forgotten that it heard nothing before


def parted(data: bytes) -> tuple[list[bytearray], bytes]:
    """The frames in what an encoder gives, and the beginning of one that is not whole yet."""
    frames, start = [], 0
    while len(data) - start >= DATA:
        end = start + _size(data, start)
        if end > len(data):
            break
        frames.append(bytearray(data[start:end]))
        start = end
    return frames, data[start:]


def _size(data: bytes, start: int) -> int:
    """Bytes of the frame that begins there."""
    kbits, padding = KBITS[data[start + 2] >> 4], data[start + 2] >> 1 & 1
    return kbits * 1000 // 8 * FRAME // SAMPLERATE + padding


def joint(left: Sequence[Frame], right: Sequence[Frame]) -> int | None:
    """Which frame of `right` can follow those before it of `left`, which is of the same sound; None where none can.

    Its main data begin in frames before it, in the bit reservoir: they have to fit into what `left` leaves free there.
    And where both sides of it have long windows, these add up to the sound whatever else the encoders decided.
    """
    for at in range(SETTLED, min(len(left), len(right))):
        fits = _reservoir(right[at]) <= _reservoir(left[at])
        if fits and _long(left[at - 1], granule=1) and _long(right[at], granule=0):
            return at
    return None


def graft(left: Sequence[bytearray], right: Sequence[Frame], following: Frame) -> None:
    """Puts what the frame `following` those of `right` has of its main data in them into `left`, in the same place."""
    count = _reservoir(following)
    rest = b"".join(frame[DATA:] for frame in right)[-count:] if count else b""
    for frame in reversed(left):
        start = max(0, len(rest) - (len(frame) - DATA))
        frame[len(frame) - len(rest[start:]) :] = rest[start:]
        rest = rest[:start]


def _reservoir(frame: Frame) -> int:
    """Bytes of main data that it has in the frames before it: main_data_begin."""
    return frame[HEADER] << 1 | frame[HEADER + 1] >> 7


def _long(frame: Frame, granule: int) -> bool:
    """Whether both channels of a granule have normal windows: window_switching_flag."""
    at = (GRANULES + (2 * granule + channel) * GRANULE + WINDOW for channel in range(2))
    return not any(frame[HEADER + bit // 8] >> (7 - bit % 8) & 1 for bit in at)
