"""MP3 in pieces: a stream like any other, as good where it is joined as elsewhere."""

import io
import threading
from collections import deque
from collections.abc import Iterator

import av
import lameenc
import numpy as np
import pytest
from numpy.typing import NDArray

from medley import frames, mp3
from medley.mp3 import CHUNK, FRAME, FRAMES, Pcm
from medley.output import BITRATES
from tests.sounds import RATE

PIECE = 3  # chunks
LENGTH = 20 * CHUNK + 12_345
DELAY = 1105  # samples, of encoder and decoder
LIMIT = 10.0  # s


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp3, "PIECE", PIECE)


@pytest.fixture(scope="module")
def pcm() -> Pcm:
    """Tones that come and go, with a beat on each third of a second: long windows and short ones."""
    rng, t = np.random.default_rng(0), np.arange(LENGTH) / RATE
    beat = np.exp(-40 * (t % (1 / 3))) * rng.normal(0, 0.15, (2, LENGTH))
    tones = sum(np.sin(2 * np.pi * (110 * k + 0.1 * k * k) * t + k) * np.cos(t * k / 3) for k in range(1, 12)) / 30
    return np.ascontiguousarray(np.rint((beat + tones).T * 32767).astype(np.int16))


def cut(pcm: Pcm) -> Iterator[Pcm]:
    for start in range(0, len(pcm), CHUNK):
        yield pcm[start : start + CHUNK]


def in_pieces(pcm: Pcm, bitrate: int = 320) -> bytes:
    return b"".join(mp3.encode(cut(pcm), bitrate))


def at_once(pcm: Pcm, bitrate: int = 320) -> bytes:
    """By one encoder."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(RATE)
    encoder.set_bit_rate(bitrate)
    encoder.set_quality(2)
    return bytes(encoder.encode(pcm.tobytes())) + bytes(encoder.flush())


def errors(data: bytes, pcm: Pcm) -> NDArray[np.float64]:
    """The energy of what a decoder hears that is not in the sound, by frame."""
    with av.open(io.BytesIO(data)) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    count = (LENGTH - DELAY) // FRAME
    error = heard[:, DELAY : DELAY + count * FRAME] - pcm[: count * FRAME].T / 32768
    return (error.reshape(2, count, FRAME).astype(np.float64) ** 2).sum((0, 2))


@pytest.mark.parametrize("bitrate", BITRATES)
def test_it_is_as_good_as_by_one_encoder(bitrate: int, pcm: Pcm) -> None:
    ours, lames = in_pieces(pcm, bitrate), at_once(pcm, bitrate)
    assert ours != lames
    assert len(frames.parted(ours)[0]) == len(frames.parted(lames)[0])
    assert abs(len(ours) - len(lames)) < 10
    found, wanted = errors(ours, pcm), errors(lames, pcm)
    assert found.sum() < 1.05 * wanted.sum()
    joints = range(PIECE * FRAMES, len(found), PIECE * FRAMES)
    assert len(joints) == 6
    for joint in joints:
        around = slice(joint - 2, joint + FRAMES)
        assert found[around].max() < 2 * wanted[around].max()


@pytest.mark.parametrize("length", [1, FRAME, CHUNK, PIECE * CHUNK])
def test_what_is_no_longer_than_a_piece_is_encoded_at_once(length: int, pcm: Pcm) -> None:
    assert in_pieces(pcm[:length]) == at_once(pcm[:length])


@pytest.mark.parametrize("more", [1, FRAME, 10 * FRAME, CHUNK, CHUNK + 1])
def test_a_short_rest(more: int, pcm: Pcm) -> None:
    sound = pcm[: 2 * PIECE * CHUNK + more]
    ours, lames = in_pieces(sound), at_once(sound)
    assert len(frames.parted(ours)[0]) == len(frames.parted(lames)[0])
    assert frames.parted(ours)[1] == b""


def test_where_nothing_can_be_joined_one_encoder_goes_on(pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp3, "joint", lambda left, right: None)
    assert in_pieces(pcm) == at_once(pcm)


def test_pieces_are_joined_after_one_that_went_on(pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[bytearray]] = []  # of which pieces

    def none_at_the_second(left: list[bytearray], right: list[bytearray]) -> int | None:
        if not any(right is one for one in asked):
            asked.append(right)
        return None if len(asked) > 1 and right is asked[1] else frames.joint(left, right)

    monkeypatch.setattr(mp3, "joint", none_at_the_second)
    ours, lames = in_pieces(pcm), at_once(pcm)
    assert len(asked) == 6
    assert len(frames.parted(ours)[0]) == len(frames.parted(lames)[0])
    assert errors(ours, pcm).sum() < 1.05 * errors(lames, pcm).sum()


def test_bytes_do_not_depend_on_how_many_work_at_them(pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    files = set()
    for processors in (1, 2, 64):
        monkeypatch.setattr(mp3, "processors", lambda processors=processors: processors)
        files.add(in_pieces(pcm))
    assert len(files) == 1


def test_bytes_go_out_while_the_sound_comes(pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp3, "processors", lambda: 1)
    taken, sent, ahead = 0, 0.0, 0.0  # chunks

    def counted() -> Iterator[Pcm]:
        nonlocal taken, ahead
        for chunk in cut(pcm):
            taken += 1
            ahead = max(ahead, taken - sent)
            yield chunk

    for data in mp3.encode(counted(), 320):
        sent += len(data) * 8 / 320_000 * RATE / CHUNK
    assert ahead < 2 * PIECE


def encoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lame"]


def test_whoever_stops_listening_ends_all_encoders(pcm: Pcm) -> None:
    stream = mp3.encode(cut(pcm), 320)
    for _ in range(PIECE + 1):  # into the second piece, whose end is not there yet
        next(stream)
    started = encoders()
    assert started
    stream.close()  # type: ignore[attr-defined]
    for encoder in started:
        encoder.join(LIMIT)
        assert not encoder.is_alive()


def test_what_an_encoder_fails_by_is_raised_at_once(pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def encode(self, data: bytes) -> bytes:
            raise RuntimeError("broken")

    taken = 0

    def counted() -> Iterator[Pcm]:
        nonlocal taken
        for chunk in cut(pcm):
            taken += 1
            yield chunk
            for encoder in encoders():
                encoder.join(LIMIT)

    monkeypatch.setattr(mp3, "encoder", lambda bitrate: Broken())
    with pytest.raises(RuntimeError, match="broken"):
        b"".join(mp3.encode(counted(), 320))
    assert taken <= 2


def test_what_was_taken_is_not_kept(pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often one encoder has to go on."""
    monkeypatch.setattr(mp3, "joint", lambda left, right: None)
    more, kept = mp3._more, 0

    def counted(pieces: deque[mp3.Piece], seconds: float = 0.0) -> bytes:
        nonlocal kept
        data = more(pieces, seconds)
        kept = max(kept, len(pieces[0].frames) if pieces else 0)
        return data

    monkeypatch.setattr(mp3, "_more", counted)
    in_pieces(pcm)
    assert kept < 2 * (PIECE + 1) * FRAMES


Heard = tuple[bytes, bytes]  # what a decoder uses of a frame: side information, main data


def heard(data: bytes) -> list[Heard]:
    """Of each frame; fails where one's main data overlap those of the next."""
    found, done = [], 0
    stream = frames.parted(data)[0]
    main = b"".join(frame[frames.DATA :] for frame in stream)
    area = 0
    for frame in stream:
        side = int.from_bytes(frame[frames.HEADER : frames.DATA], "big")
        start = area - (side >> 247)
        size = sum(side >> 256 - (20 + 59 * granule + 12) & 0xFFF for granule in range(4))  # bits: part2_3_length
        assert start >= done
        done = start + (size + 7) // 8
        found.append((bytes(frame[frames.HEADER : frames.DATA]), main[start:done]))
        area += len(frame) - frames.DATA
    assert done <= len(main)
    return found


@pytest.mark.parametrize("bitrate", BITRATES)
def test_every_frame_is_one_of_an_encoder_that_began_with_its_piece(bitrate: int, pcm: Pcm) -> None:
    streams = [heard(at_once(pcm[start:], bitrate)) for start in range(0, LENGTH, PIECE * CHUNK)]
    found = heard(in_pieces(pcm, bitrate))
    first = PIECE * FRAMES  # of the second piece
    for number, frame in enumerate(found):
        piece = min(number // first, len(streams) - 1)
        before = piece - 1 if piece > 0 and number - piece * first < FRAMES else piece
        assert frame in [streams[one][number - one * first] for one in (piece, before)]
