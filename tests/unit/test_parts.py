"""Parts keep every value, peaks above full scale too, and say what 16 bits will clamp."""

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from medley import parts
from medley.errors import Crash


@pytest.fixture
def noise() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.3, (2, 50_000)).astype(np.float32)


def test_part_keeps_every_value(noise: NDArray[np.float32]) -> None:
    values = parts.quantise(noise)
    back = parts.decode(parts.encode(values))
    assert back.dtype == np.int32
    assert back.shape == (2, 50_000)
    assert np.array_equal(back, values)


@pytest.mark.parametrize("length", [1, 15, 4609])
def test_part_may_be_short(noise: NDArray[np.float32], length: int) -> None:
    values = parts.quantise(noise[:, :length])
    assert np.array_equal(parts.decode(parts.encode(values)), values)


def test_samples_are_kept_to_24_bits_at_half_amplitude(noise: NDArray[np.float32]) -> None:
    assert np.abs(parts.quantise(noise) / 2**22 - noise).max() <= 2**-23


def test_peaks_to_twice_full_scale_survive() -> None:
    samples = np.array([[1.0, 1.9, 2.5, np.inf], [-1.0, -1.9, -2.5, -np.inf]], np.float32)
    top = (1 << 23) - 1
    assert parts.quantise(samples).tolist() == [
        [1 << 22, 7969178, top, top],
        [-(1 << 22), -7969178, -top - 1, -top - 1],
    ]


def test_part_is_a_whole_flac_file(noise: NDArray[np.float32]) -> None:
    data = parts.encode(parts.quantise(noise))
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
