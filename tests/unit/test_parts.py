"""Parts keep every value, peaks above full scale too, and say what 16 bits will clamp."""

import io

import av
import numpy as np
import pytest

from medley import parts
from medley.errors import Crash


@pytest.fixture
def noise() -> parts.Values:
    """Up to the loudest that a part can hold."""
    values = np.random.default_rng(0).normal(0, 0.3 * parts.SCALE, (2, 50_000)).astype(np.int32)
    values[:, :2] = [[parts.HIGHEST, -parts.HIGHEST - 1], [-parts.HIGHEST - 1, parts.HIGHEST]]
    return values


def test_part_keeps_every_value(noise: parts.Values) -> None:
    back = parts.decode(parts.encode(noise))
    assert back.dtype == np.int32
    assert back.shape == (2, 50_000)
    assert np.array_equal(back, noise)


@pytest.mark.parametrize("length", [1, 15, 4609])
def test_part_may_be_short(noise: parts.Values, length: int) -> None:
    values = noise[:, :length]
    assert np.array_equal(parts.decode(parts.encode(values)), values)


def test_part_is_a_whole_flac_file(noise: parts.Values) -> None:
    data = parts.encode(noise)
    assert ((data[20] & 1) << 4 | data[21] >> 4) + 1 == 24  # STREAMINFO's bits per sample
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        assert (container.format.name, stream.rate, stream.channels, stream.duration) == ("flac", 44100, 2, 50_000)


def test_16_bit_samples_are_times_two_rounded() -> None:
    values = np.array([[127, 128, 64, 65, 192, -64, -192, 12_800]], np.int32)
    assert parts.to_int16(values).tolist() == [[1, 1, 0, 1, 2, 0, -2, 100]]
    assert parts.to_int16(values).dtype == np.int16


def test_clamped_samples_are_counted() -> None:
    full = 1 << 22
    values = np.array([[full - 128, full, full - 64, 0], [-full, -full - 64, -full - 65, 2 * full - 1]], np.int32)
    assert parts.to_int16(values).tolist() == [[32767, 32767, 32767, 0], [-32768, -32768, -32768, 32767]]
    assert parts.clipped(values) == 4


@pytest.mark.parametrize("damage", [b"", b"fLaC", b"no flac at all" * 100])
def test_damaged_part_is_a_crash_with_advice(damage: bytes) -> None:
    with pytest.raises(Crash, match="upload it again"):
        parts.decode(damage)
