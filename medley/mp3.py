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
CHUNK = FRAMES * FRAME  # samples that come at a time; the last may have fewer
PIECE = 32  # chunks; and the first of the next piece: in it they are joined
MOST = 4  # pieces of one stream in work: each holds its samples, and there are as many stems


def encode(chunks: Iterable[Pcm], bitrate: int) -> Iterator[bytes]:
    """The stream, bit by bit, of chunks of FRAMES frames, (n, 2); the same chunks give the same bytes."""
    lanes = min(MOST, processors())
    pieces: deque[Piece] = deque()
    try:
        for number, chunk in enumerate(chunks):
            if pieces:
                pieces[-1].feed(chunk)
            if number % PIECE == 0:
                if pieces:
                    pieces[-1].end(whole=False)
                while len(pieces) > lanes:
                    yield _first(pieces)
                pieces.append(Piece(bitrate))
                pieces[-1].feed(chunk)
            yield pieces[0].taken()
        if pieces:
            pieces[-1].end(whole=True)
        while pieces:
            yield _first(pieces)
    finally:
        for piece in pieces:
            piece.stop()


def _first(pieces: "deque[Piece]") -> bytes:
    """What is left of the first piece up to the second, which is joined to it; nothing, where it takes that over."""
    left = pieces[0]
    left.wait()
    if len(pieces) > 1:
        right = pieces[1]
        right.wait()
        if not left.joined(right):
            left.go_on_with(right)
            del pieces[1]
            return b""
    pieces.popleft()
    return left.taken()


class Piece:
    """A stretch of the sound on its way through an encoder of its own, in a thread of its own."""

    def __init__(self, bitrate: int) -> None:
        self._encoder = encoder(bitrate)
        self._frames: list[bytearray] = []  # those that are whole
        self._rest = b""
        self._taken, self._end = 0, FRAMES * PIECE  # of the frames; where the next piece takes over
        self._chunks: list[Pcm] = []  # for a piece before that has to go on with them
        self._whole = False  # it goes on to the end of the sound
        self._waiting: SimpleQueue[Pcm | None] = SimpleQueue()
        self._stopped = False
        self._failure: Exception | None = None
        self._thread = Thread(target=self._run, name="lame", daemon=True)
        self._thread.start()

    def feed(self, chunk: Pcm) -> None:
        """The next stretch of the sound."""
        self._chunks.append(chunk)
        self._waiting.put(chunk)

    def end(self, *, whole: bool) -> None:
        """After the last of it; or of the sound."""
        self._whole = whole
        self._waiting.put(None)

    def stop(self) -> None:
        """Nobody wants it any more."""
        self._stopped = True
        self._waiting.put(None)

    def wait(self) -> None:
        """Until all that it was fed with is encoded. Raises what that failed by."""
        self._thread.join()
        if self._failure:
            raise self._failure

    def taken(self) -> bytes:
        """The frames that are there and were not taken yet, but for those in which the next piece is joined."""
        end = min(len(self._frames), self._end)
        frames, self._taken = self._frames[self._taken : end], max(self._taken, end)
        return b"".join(frames)

    def joined(self, right: "Piece") -> bool:
        """Ends it where the next one can take over, if there is such a place."""
        at = joint(self._frames[self._end :], right._frames)
        if at is None:
            return False
        graft(self._frames[: self._end + at], right._frames[:at], right._frames[at])
        self._end += at
        right._taken = at
        right._chunks.clear()
        return True

    def go_on_with(self, right: "Piece") -> None:
        """Encodes what the next one was fed with, but for what both were."""
        for chunk in right._chunks[1:]:
            self._encode(chunk)
        self._end += right._end
        self._whole = right._whole
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
        if self._whole:
            self._add(self._encoder.flush())
            self._end = len(self._frames)

    def _add(self, data: bytes) -> None:
        frames, self._rest = parted(self._rest + data)
        self._frames += frames


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
