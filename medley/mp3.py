"""MP3 by LAME: pieces of one sound encoded side by side, each by an encoder of its own, and joined into one stream.

docs/decisions/2026-11-26-mp3-in-pieces.md says why, and how it sounds where they are joined.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Any

import lameenc
import numpy as np
from numpy.typing import NDArray

from medley.frames import FRAME, graft, joint, parted
from medley.models import SAMPLERATE
from medley.quota import processors

Pcm = NDArray[np.int16]  # (n, 2)

QUALITY = 2  # LAME's, of 0 (best, slow) to 9
FRAMES = 32  # in a chunk
CHUNK = FRAMES * FRAME  # samples that come at a time; only the last may have fewer
PIECE = 32  # chunks; a piece has the first of the next one as well, in which they are joined
MOST = 4  # encoders at work at one stream: there are as many stems, and each piece holds its samples
LOOK = 0.05  # s between two looks at what there is


def encode(chunks: Iterable[Pcm], bitrate: int) -> Iterator[bytes]:
    """The stream of a sound that comes in chunks of CHUNK samples, little by little; b"" where there is nothing yet.

    The same chunks give the same bytes, however many processors there are.
    """
    lanes = min(MOST, processors())
    pieces: deque[Piece] = deque()
    try:
        for number, chunk in enumerate(chunks):
            if pieces:
                pieces[-1].feed(chunk)
            if number % PIECE == 0:
                if pieces:
                    pieces[-1].end(whole=False)
                while sum(not piece.ended() for piece in pieces) >= lanes:
                    yield _more(pieces, LOOK)
                pieces.append(Piece(bitrate, first=not pieces))
                pieces[-1].feed(chunk)
            yield _more(pieces)
        if pieces:
            pieces[-1].end(whole=True)
        while pieces:
            yield _more(pieces, LOOK)
    finally:
        for piece in pieces:
            piece.stop()


def _more(pieces: "deque[Piece]", seconds: float = 0.0) -> bytes:
    """What there is of the first piece, after waiting so long for its end; then the next one becomes the first."""
    left = pieces[0]
    if left.ended(seconds):
        if len(pieces) > 1:
            _join(pieces, seconds)
        elif left.whole:
            pieces.popleft()
    return left.taken()


def _join(pieces: "deque[Piece]", seconds: float) -> None:
    """The first piece, which has ended, and the next, as soon as that one has come as far as the first did."""
    left, right = pieces[0], pieces[1]
    if not right.ended(seconds) and len(right.frames) < len(left.overlap):
        return
    at = joint(left.overlap, right.frames)
    if at is not None:
        left.give_way(right, at)
        pieces.popleft()
    elif right.ended(seconds):
        left.go_on_with(right)
        del pieces[1]


class Piece:
    """A stretch of the sound on its way through an encoder of its own, in a thread of its own."""

    def __init__(self, bitrate: int, *, first: bool) -> None:
        self.frames: list[bytearray] = []  # those that are whole and were not taken yet
        self.whole = False  # it goes on to the end of the sound
        self._encoder = encoder(bitrate)
        self._rest = b""
        self._due = FRAMES * PIECE  # frames to be taken before those in which the next piece is joined
        self._keeps = not first  # what it is fed with, as long as a piece before it may have to go on with that
        self._chunks: list[Pcm] = []
        self._waiting: SimpleQueue[Pcm | None] = SimpleQueue()
        self._stopped = self._flushed = False
        self._failure: Exception | None = None
        self._thread = Thread(target=self._run, name="lame", daemon=True)
        self._thread.start()

    def feed(self, chunk: Pcm) -> None:
        """The next stretch of the sound. Raises what encoding failed by."""
        if self._failure:
            raise self._failure
        if self._keeps:
            self._chunks.append(chunk)
        self._waiting.put(chunk)

    def end(self, *, whole: bool) -> None:
        """After the last of it; or of the sound."""
        self.whole = whole
        self._waiting.put(None)

    def stop(self) -> None:
        """Nobody wants it any more."""
        self._stopped = True
        self._waiting.put(None)

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether all is encoded, in so many seconds at most. Raises what that failed by."""
        self._thread.join(seconds)
        if self._failure:
            raise self._failure
        return not self._thread.is_alive()

    def taken(self) -> bytes:
        """The frames that are there, but for those in which the next piece is joined; they are there no more."""
        frames = self.frames[: len(self.frames) if self._flushed else self._due]
        del self.frames[: len(frames)]
        self._due -= len(frames)
        return b"".join(frames)

    @property
    def overlap(self) -> list[bytearray]:
        """The frames that the next piece begins with, too."""
        return self.frames[self._due :]

    def give_way(self, right: "Piece", at: int) -> None:
        """Ends where the next one has its frame `at`."""
        self._due += at
        graft(self.frames[: self._due], right.frames[:at], right.frames[at])
        right._keeps = False
        right._chunks.clear()
        del right.frames[:at]
        right._due -= at

    def go_on_with(self, right: "Piece") -> None:
        """Encodes what the next one was fed with, but for the first chunk, which both had."""
        self._due += right._due
        self.whole = right.whole
        for chunk in right._chunks[1:]:
            self._encode(chunk)
        self._flush()

    def _run(self) -> None:
        try:
            while (chunk := self._waiting.get()) is not None and not self._stopped:
                self._encode(chunk)
            self._flush()
        except Exception as error:
            self._failure = error

    def _encode(self, chunk: Pcm) -> None:
        self._add(self._encoder.encode(chunk.tobytes()))

    def _flush(self) -> None:
        if self.whole:
            self._add(self._encoder.flush())
            self._flushed = True

    def _add(self, data: bytes) -> None:
        frames, self._rest = parted(self._rest + data)
        self.frames += frames


def encoder(bitrate: int) -> Any:
    """LAME at a constant bitrate, in kbit/s.

    lameenc's LAME 4.0 is three times as fast as the LAME 3.100 in PyAV's wheel, at the same error.
    """
    made = lameenc.Encoder()
    made.silence()
    made.set_channels(2)
    made.set_in_sample_rate(SAMPLERATE)
    made.set_bit_rate(bitrate)
    made.set_quality(QUALITY)
    return made
