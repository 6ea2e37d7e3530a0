"""Frames of MP3 streams, and how to go on from one stream in the middle of another of the same sound.

As in ISO 11172-3, 2.4: MPEG-1 layer III, two channels, no checksum, 44.1 kHz. What to mind where streams are joined is
from fre:ac's SuperFast LAME (its developer's blog, 2018-07-20), which packs all frames anew instead.
"""

import struct
from collections.abc import Sequence

from medley.models import SAMPLERATE

Frame = bytes | bytearray

FRAME = 1152  # samples: two granules
KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # by index
HEADER, SIDE = 4, 32  # bytes of the header and of the side information; main data follow
DATA = HEADER + SIDE
GRANULES = 20  # bits of the side information before those of the granules
GRANULE = 59  # bits of it about one channel of a granule
WINDOW = 33  # of them, before window_switching_flag, block_type (2 bits) and mixed_block_flag
FALLS = {0b1010: 1, 0b1100: 1, 0b1011: 2, 0b1101: 2}  # by these
SETTLED = 6  # frames after which an encoder has forgotten that it heard nothing before
DELAY = 576  # samples that LAME puts before a sound; a decoder adds 529


def info(length: int, kbits: int) -> bytes:
    """A silent frame that tells decoders what a stream of LAME's has before and after its `length` samples.

    Its fields are LAME's: gabriel.mp3-tech.org/mp3infotag.html.
    """
    count = -(-length // FRAME) + 1
    header = 0xFFFB0004 | KBITS.index(kbits) << 12 | (0x40 if kbits < 160 else 0)  # below that LAME takes joint stereo
    start = struct.pack(">I32x", header)
    size = _size(start, 0)
    whole = size + count * kbits * 1000 // 8 * FRAME // SAMPLERATE
    start += struct.pack(">4s3I100sI", b"Info", 0b1111, count, whole, bytes(i * 256 // 100 for i in range(100)), 0)
    pads = DELAY << 12 | count * FRAME - length - DELAY
    start += struct.pack(">9sB10xB3s4xIH", b"LAME4.0", 1, min(kbits, 255), pads.to_bytes(3, "big"), whole, 0)
    return (start + struct.pack(">H", _crc(start))).ljust(size, b"\0")


def _crc(data: bytes) -> int:
    """CRC-16 as LAME has it: x^16 + x^15 + x^2 + 1, the lowest bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


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
    And its windows add up to the sound with those before it only if these fall as they did in `right`.
    """
    for at in range(SETTLED, min(len(left), len(right))):
        fits = _reservoir(right[at]) <= _reservoir(left[at])
        if fits and _falls(left[at - 1]) == _falls(right[at - 1]):
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


def _falls(frame: Frame) -> tuple[int, ...]:
    """How the windows of its last granule fall, by channel: 0 as long ones, 1 as short ones, 2 as both do, in bands.

    Block types 1 (from long to short) and 2 (short) fall as short ones, 3 (back to long) as long ones.
    """
    side = int.from_bytes(frame[HEADER:DATA], "big")
    ends = (GRANULES + (2 + channel) * GRANULE + WINDOW + 4 for channel in range(2))
    return tuple(FALLS.get(side >> 8 * SIDE - end & 0b1111, 0) for end in ends)
