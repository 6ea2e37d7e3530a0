"""Rendered files: the right samples, the same bytes however they come, and headers that tell the truth."""

import io
import struct
import wave
from collections.abc import Iterator

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from medley import parts
from medley.frames import parted
from medley.mp3 import PIECE
from medley.output import BITRATES, FORMATS, Output
from medley.render import CHUNK, ENCODERS, encode, flac_with_length, mix, wav_header
from tests.sounds import samples

Values = NDArray[np.int32]
OUTPUTS = [Output("vocals", "mp3", 320), Output("vocals", "wav"), Output("vocals", "flac")]
LENGTH = 3 * CHUNK + 1001


@pytest.fixture(scope="module")
def values() -> Values:
    noise = np.random.default_rng(0).normal(0, 0.05, (2, LENGTH)).astype(np.float32)
    return np.rint((samples(LENGTH / 44100) + noise) * parts.SCALE).astype(np.int32)


def cut(values: Values, size: int) -> Iterator[Values]:
    for start in range(0, values.shape[1], size):
        yield values[:, start : start + size]


def decoded(data: bytes) -> NDArray[np.int16]:
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1)


def test_every_format_has_an_encoder() -> None:
    assert set(ENCODERS) == set(FORMATS)


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
def test_bytes_do_not_depend_on_the_blocks(output: Output, values: Values) -> None:
    files = {b"".join(encode(output, cut(values, size), LENGTH)) for size in (997, CHUNK, LENGTH)}
    assert len(files) == 1


@pytest.mark.parametrize("output", OUTPUTS[1:], ids=lambda output: output.format)
def test_bytes_go_out_as_they_come(output: Output, values: Values) -> None:
    taken = 0

    def blocks() -> Iterator[Values]:
        nonlocal taken
        for block in cut(values, CHUNK):
            taken += 1
            yield block

    sizes = []
    for piece in encode(output, blocks(), LENGTH):
        sizes.append((taken, len(piece)))
    assert min(taken for taken, size in sizes if size > 1000) < 4
    assert len({taken for taken, _ in sizes}) > 2


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
@pytest.mark.parametrize("length", [LENGTH - 1, LENGTH + 1])
def test_wrong_length_breaks_off(output: Output, length: int, values: Values) -> None:
    with pytest.raises(ValueError, match=f"{LENGTH} samples, not {length}"):
        b"".join(encode(output, cut(values, 10_000), length))


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
def test_nothing_is_given_before_the_first_part_is_there(output: Output) -> None:
    def gone() -> Iterator[Values]:
        raise LookupError
        yield

    with pytest.raises(LookupError):
        next(encode(output, gone(), LENGTH))


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
def test_whoever_stops_listening_ends_it_quietly(output: Output, values: Values) -> None:
    pieces = encode(output, cut(values, 10_000), LENGTH)
    while not next(pieces):
        pass
    pieces.close()  # type: ignore[attr-defined]


def test_wav_is_the_parts_times_two(values: Values) -> None:
    data = b"".join(encode(OUTPUTS[1], cut(values, 10_000), LENGTH))
    assert len(data) == OUTPUTS[1].size(LENGTH)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (2, 2, 44100, LENGTH)
        heard = np.frombuffer(file.readframes(LENGTH), "<i2").reshape(-1, 2).T
    assert np.array_equal(heard, parts.to_int16(values))


def test_wav_says_its_size_as_long_as_it_can() -> None:
    riff, data = struct.unpack("<I", wav_header(1000)[4:8]), struct.unpack("<I", wav_header(1000)[40:44])
    assert (riff, data) == ((4036,), (4000,))
    endless = wav_header(1 << 31)
    assert len(endless) == 44
    assert endless[4:8] == endless[40:44] == b"\xff\xff\xff\xff"


def test_flac_holds_the_same_samples_and_their_number(values: Values) -> None:
    data = b"".join(encode(OUTPUTS[2], cut(values, 10_000), LENGTH))
    heard = decoded(data).reshape(-1, 2).T
    assert np.array_equal(heard, parts.to_int16(values))
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.audio[0].duration == LENGTH


def test_flac_length_has_36_bits_and_leaves_the_rest() -> None:
    start = bytes(range(200, 242))
    patched = flac_with_length(start, (1 << 36) - 2)
    assert patched[:21] == start[:21]
    assert patched[21] == start[21] | 0x0F
    assert patched[22:26] == b"\xff\xff\xff\xfe"
    assert patched[26:] == start[26:]


@pytest.mark.parametrize("bitrate", BITRATES)
def test_mp3_has_the_bitrate_and_sounds_alike(bitrate: int, values: Values) -> None:
    data = b"".join(encode(Output("bass", "mp3", bitrate), [values], LENGTH))
    assert abs(len(data) * 8 / (LENGTH / 44100) / 1000 - bitrate) < bitrate * 0.05
    assert data[:2] == b"\xff\xfb"  # a frame at once: no tags, nothing to be filled in later
    assert {frame[3] & 0b11001111 for frame in parted(data)[0]} == {data[3]}  # in all that is the same in all
    heard = decoded(data)[0]
    assert len(heard) == LENGTH
    assert np.corrcoef(heard, parts.to_int16(values)[0])[0, 1] > 0.99


@pytest.mark.parametrize("length", [1, 576, 1105, 1152, 1153, 1729, 44100, CHUNK * PIECE + 7])
def test_mp3_tells_its_length_to_the_sample(length: int) -> None:
    sound = np.random.default_rng(0).integers(-(1 << 20), 1 << 20, (2, length), np.int32)
    data = b"".join(encode(Output("bass", "mp3", 128), [sound], length))
    frames, rest = parted(data)
    assert (int.from_bytes(data[44:48], "big"), rest) == (len(frames) - 1, b"")
    assert int.from_bytes(data[48:52], "big") == pytest.approx(len(data), abs=4)
    with av.open(io.BytesIO(data), format="mp3") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == length


def test_mix_adds_up_beyond_24_bits() -> None:
    loud = np.full((2, 5), (1 << 23) - 1, np.int32)
    (block,) = mix([[loud], [loud], [loud]])
    assert (block == 3 * ((1 << 23) - 1)).all()
    assert (parts.to_int16(block) == 32767).all()


def test_mix_of_one_is_itself(values: Values) -> None:
    assert [block.shape for block in mix([cut(values, CHUNK)])] == [(2, CHUNK)] * 3 + [(2, 1001)]


@pytest.mark.parametrize(
    "others", [[np.ones((2, 4), np.int32)], [np.ones((2, 5), np.int32)] * 2, []], ids=["shorter", "more", "none"]
)
def test_stems_that_do_not_fit_are_not_mixed(others: list[Values]) -> None:
    with pytest.raises(ValueError, match=r"differ in length|argument 2 is"):
        list(mix([[np.ones((2, 5), np.int32)], others]))
