"""How much memory an MP4 or QuickTime file makes FFmpeg take when it is opened, told from its boxes before that.

FFmpeg makes an entry of its index for each sample that the tables claim, of some 37 bytes: a kilobyte may claim
billions. What is walked here is what `mov_read_default` in FFmpeg's mov.c walks, at least: it takes tables anywhere.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

MOST = 4_000_000  # entries of the index, 150 MB; two hours of film and its sound have less than a million
FREE = 500_000  # that any file may claim, as one that was cut off does; beyond it takes 4 bytes of the file for each
BOXES = 500_000  # that are looked at, a second's work: two hours in fragments of a fifth of a second have half of them
DEPTH, TRACKS = 10, 1000  # of boxes within boxes, and of tracks, beyond which FFmpeg takes no more
PER_ENTRY = 160  # samples, at the least, where FFmpeg makes one entry for many
PIECE = 1 << 20  # bytes that are searched at a time

CONTAINERS = {b"dinf", b"edts", b"ilst", b"mdia", b"minf", b"moof", b"moov", b"mvex", b"schi", b"sinf", b"stbl"}
CONTAINERS |= {b"traf", b"trak", b"tref", b"udta", b"wave"}
# Boxes within these come behind what only FFmpeg's own parsers measure; none of those that count belongs there.
OPAQUE = {b"iprp", b"jp2h", b"stsd"}
TABLES = {b"stsz", b"stz2", b"stts", b"stsc", b"stco", b"co64", b"elst", b"trun", b"sidx", b"hdlr", b"cmov"}
SOUND = {b"soun", b"mdir", b"mdta", b"alis", b"url ", b"\0\0\0\0"}  # handlers that leave a track of sound one


def claim_too_much(file: BinaryIO) -> bool:
    """Whether a seekable file, read as MP4 or QuickTime, claims more samples than its size lets one believe."""
    try:
        return _Walk(file).entries() > MOST
    except _Refused:
        return True


class _Refused(Exception):
    """What no honest file has."""


@dataclass
class _Track:
    """What a track's tables claim."""

    handlers: set[bytes] = field(default_factory=set)
    once: set[bytes] = field(default_factory=set)
    samples: int = 0
    edits: int = 1
    chunks: int = 0
    runs: tuple[int, int] = (0, 0)  # where the table of samples in chunks begins, and how many entries it has
    steady: bool = False  # every sample lasts one tick: of sound FFmpeg takes many at a time then


class _Walk:
    """The boxes of one file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._left = BOXES
        self._tracks = [_Track()]  # the first is for tables outside of any
        self._fragments = 0
        self._roots = [0]  # where FFmpeg may begin to read boxes: an index (sidx) may name any place
        self._seen: set[int] = set()

    def entries(self) -> int:
        """That FFmpeg's index would have; endless ones are refused on the way."""
        while self._roots:
            self._walk(self._roots.pop(), self._size, self._tracks[0])
        total = self._fragments + sum(self._of(track) for track in self._tracks)
        return total if total <= FREE + self._size // 4 else MOST + 1

    def _walk(self, at: int, end: int, track: _Track, depth: int = 0) -> None:
        if depth > DEPTH:
            raise _Refused
        for kind, start, stop in self._boxes(at, end, not depth):
            if kind in CONTAINERS:
                self._walk(start, stop, self._begun() if kind == b"trak" else track, depth + 1)
            elif kind == b"meta":
                self._walk(self._behind_handler(start, stop), stop, track, depth + 1)
            elif kind in OPAQUE:
                self._refuse_tables(start, stop)
            elif kind in TABLES:
                self._table(kind, start, stop, track)

    def _begun(self) -> _Track:
        if len(self._tracks) > TRACKS:
            raise _Refused
        self._tracks.append(_Track())
        return self._tracks[-1]

    def _boxes(self, at: int, end: int, top: bool) -> Iterator[tuple[bytes, int, int]]:
        """Kind, start and end of what is in each box from `at` to before `end`."""
        while at + 8 <= end:
            if top and at in self._seen:
                return
            if top:
                self._seen.add(at)
            self._spend(1)
            head = self._read(at, 16)
            size, kind = struct.unpack(">I4s", head[:8])
            start = at + 8
            if kind in {b"free", b"hoov"} and head[12:] in {b"mvhd", b"cmov"}:
                kind = b"moov"
            if size == 1 and at + 16 <= end:
                size, start = int.from_bytes(head[8:]), at + 16
            elif size == 0:
                size = end - at
            if size < start - at:
                return
            at = min(at + size, end)
            yield kind, start, at

    def _table(self, kind: bytes, start: int, stop: int, track: _Track) -> None:
        head = self._read(start, 32)[: stop - start].ljust(32, b"\0")
        first, second, third = struct.unpack(">4x3I", head[:16])
        if kind == b"cmov":
            raise _Refused  # a header that is compressed, as QuickTime made them last century, may hold anything
        if kind == b"hdlr":
            track.handlers.add(head[8:12])
        elif kind == b"trun":
            self._fragments += first
        elif kind == b"sidx":
            self._index(head, start, stop)
        elif kind == b"elst":
            track.edits = max(track.edits, (stop - start - 8) // (20 if head[0] == 1 else 12))
        else:
            self._sample_table(kind, (first, second, third), start, stop, track)

    def _sample_table(self, kind: bytes, numbers: tuple[int, int, int], start: int, stop: int, track: _Track) -> None:
        kind = {b"stz2": b"stsz", b"co64": b"stco"}.get(kind, kind)
        if kind in track.once:
            raise _Refused  # which of two FFmpeg goes by is its own affair
        track.once.add(kind)
        if kind == b"stsz":
            track.samples = numbers[1]
        elif kind == b"stts":
            track.steady = numbers[0] == 1 and numbers[2] == 1
        elif kind == b"stco":
            track.chunks = min(numbers[0], (stop - start) // 4)
        else:
            track.runs = start + 8, min(numbers[0], max(0, stop - start - 8) // 12)

    def _index(self, head: bytes, start: int, stop: int) -> None:
        """Notes the places of fragments that an index of segments names."""
        wide = head[0] != 0
        first, count = struct.unpack(">QxxH" if wide else ">IxxH", head[20:] if wide else head[16:24])
        data = self._read(start + (32 if wide else 24), 12 * count)[: max(0, stop - start)]
        self._spend(len(data) // 12)
        at = stop + first
        for (size,) in struct.iter_unpack(">I8x", data[: len(data) // 12 * 12]):
            if at < self._size:
                self._roots.append(at)
            at += size if size < 1 << 31 else 0

    def _behind_handler(self, start: int, stop: int) -> int:
        """Where the boxes in `meta` begin: with its handler, which FFmpeg looks for in steps of four bytes."""
        head = self._read(start, 64)
        for at in range(4, len(head), 4):
            if head[at : at + 4] == b"hdlr":
                return start + at - 4
        self._refuse_tables(start, stop)
        return stop

    def _refuse_tables(self, start: int, stop: int) -> None:
        """What counts is told by its name alone where boxes cannot be told apart."""
        for at in range(start, stop, PIECE):
            data = self._read(at, min(PIECE + 3, stop - at))
            if any(kind in data for kind in TABLES):
                raise _Refused

    def _of(self, track: _Track) -> int:
        """The entries that FFmpeg makes for a track: for each sample, but of uncompressed sound for many."""
        many = self._in_chunks(track)
        sound = b"soun" in track.handlers and track.handlers <= SOUND
        entries = many if sound and track.steady else max(many, track.samples)
        return entries * track.edits

    def _in_chunks(self, track: _Track) -> int:
        start, count = track.runs
        if count > MOST:
            raise _Refused
        table = np.frombuffer(self._read(start, 12 * count), ">u4")
        table = table[: len(table) // 3 * 3].reshape(-1, 3).astype(np.float64)  # whose sums do not wrap around
        if not len(table):
            return 0
        table[0, 0] = 1
        chunks = np.diff(table[:, 0], append=track.chunks + 1.0)
        if chunks.min() <= 0:  # in no order, which FFmpeg puts right: as if all chunks were like the fullest
            chunks, table = np.full(1, float(track.chunks)), table.max(axis=0, keepdims=True)
        return int(chunks @ np.ceil(table[:, 1] / PER_ENTRY))

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)

    def _spend(self, boxes: int) -> None:
        self._left -= boxes
        if self._left < 0:
            raise _Refused
