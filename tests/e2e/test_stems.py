"""The sound of it: the real model on a song whose stems are known, and peaks beyond full scale."""

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from demucs.hf import load_safetensors_model
from numpy.typing import NDArray

from functions.separate.weights import find, folder_of
from medley import parts
from medley.local.running import Local
from tests import sounds
from tests.e2e.harness import QUICK, Service, eventually
from tests.e2e.wire import API, ask, upload
from tests.networks import agreement, mixed, on_our_grid

BAND = Path(__file__).resolve().parents[1] / "audio" / "band12"
GOOD = {"drums": 10.0, "bass": 9.0, "other": 7.0, "vocals": 10.0}  # dB of global SDR
AGREES = 60.0  # dB

Int16 = NDArray[np.int16]
Floats = NDArray[np.float32]


class Trained(Service):
    """A service with the real model; `medley up` gets its weights when they are missing."""

    def __init__(self, data: Path) -> None:
        self.local = Local(
            data, models=["htdemucs"], environment={**QUICK, "PRECISION": "exact"}, options=["--ping-seconds", "1"]
        )


@dataclass
class Band:
    """The song as it came out."""

    service: Service
    song: str
    early: tuple[bytes, dict[str, Any]]  # the first part, and the song's state when it was there
    ended: dict[str, Any]

    def fetch(self, path: str) -> bytes:
        answer = ask(self.service.local.about()["port"], "GET", f"{API}/{path.replace('HASH', self.song)}")
        assert answer.status == 200, answer.body
        return answer.body

    def stem(self, stem: str) -> Int16:
        return samples(self.fetch(f"track/HASH/{stem}.wav"))

    def parts(self, stem: str) -> NDArray[np.int32]:
        """All parts of a stem, one after the other, as 24-bit values at half amplitude."""
        count = self.ended["parts"]["total"]
        return np.concatenate([parts.decode(self.fetch(f"parts/HASH/{stem}/{n}")) for n in range(count)], axis=1)


def samples(data: bytes) -> Int16:
    """Those of a wav file, (2, n)."""
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (44100, 2, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T


def read(name: str) -> Floats:
    """A file of the band, (2, n)."""
    with av.open(str(BAND / f"{name}.flac")) as container:
        frames = [frame.to_ndarray().reshape(-1, 2).T for frame in container.decode(audio=0)]
    found = np.concatenate(frames, axis=1)
    return (found / np.float32(-float(np.iinfo(found.dtype).min))).astype(np.float32)


def full_scale(stem: Int16) -> Floats:
    return (stem / np.float32(32768)).astype(np.float32)


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Band]:
    with Trained(tmp_path_factory.mktemp("stems") / "data") as service:
        port = service.local.about()["port"]
        song = upload(port, (BAND / "mixture.flac").read_bytes(), "audio/flac").json["hash"]
        part = eventually(lambda: _audio(port, f"{API}/parts/{song}/vocals/0"), 120)
        state = service.client.song(song)
        yield Band(service, song, (part, state), service.ended(song, 200))


def _audio(port: int, path: str) -> bytes | None:
    answer = ask(port, "GET", path)
    return answer.body if answer.status == 200 and answer.kind == "audio/flac" else None


@pytest.fixture(scope="module")
def by_demucs() -> dict[str, Floats]:
    """The stems by demucs' own code, on our grid."""
    weights = find("htdemucs", folder_of(""))
    assert weights
    network = load_safetensors_model(weights.networks[0]).eval()
    separated = on_our_grid(network, mixed(read("mixture")), 343980, 257985)
    return dict(zip(network.sources, separated, strict=True))


def test_the_first_part_is_audio_while_the_song_is_being_separated(band: Band) -> None:
    data, state = band.early
    assert state["status"] == "processing"
    assert state["parts"]["ready"] < state["parts"]["total"]
    assert parts.decode(data).shape == (2, round(state["parts"]["seconds"] * 44100))
    assert band.fetch("parts/HASH/vocals/0") == data


def test_the_song_is_separated_once(band: Band) -> None:
    computed = band.ended["segments_computed"]
    assert (band.ended["status"], computed) == ("succeeded", band.ended["parts"]["total"])
    for stem in GOOD:
        band.stem(stem)
    assert band.service.client.song(band.song)["segments_computed"] == computed


@pytest.mark.parametrize("stem", GOOD)
def test_a_stem_is_the_instrument(band: Band, stem: str) -> None:
    reference, estimate = read(stem).astype(np.float64), full_scale(band.stem(stem))
    assert estimate.shape == reference.shape
    sdr = 10 * np.log10((reference**2).sum() / ((reference - estimate) ** 2).sum())
    assert sdr > GOOD[stem]


@pytest.mark.parametrize("stem", GOOD)
def test_a_stem_is_what_demucs_gives(band: Band, by_demucs: dict[str, Floats], stem: str) -> None:
    assert agreement(full_scale(band.stem(stem))[None], by_demucs[stem][None]) >= AGREES


@pytest.mark.parametrize("stem", GOOD)
def test_the_parts_put_together_are_the_file(band: Band, stem: str) -> None:
    twice = np.rint(band.parts(stem) * (2 * 32768 / 2**23))
    assert np.array_equal(np.clip(twice, -32768, 32767), band.stem(stem))
    assert np.array_equal(parts.to_int16(band.parts(stem)), band.stem(stem))


def test_peaks_beyond_full_scale_are_clamped_and_counted(service: Service) -> None:
    audio = 20 * np.random.default_rng(3).standard_normal((2, 200_000)).astype(np.float32)
    song = upload(service.local.about()["port"], sounds.float_wav(audio), "audio/wav").json["hash"]
    loud = Band(service, song, (b"", {}), service.ended(song))
    beyond = {}
    for stem in GOOD:
        values, stored = loud.parts(stem), loud.stem(stem)
        twice = np.rint(values / 128)
        beyond[stem] = int(((twice < -32768) | (twice > 32767)).sum())
        assert np.array_equal(stored, np.clip(twice, -32768, 32767))
        assert np.abs(values).max() > 2**22  # the parts keep what the file cannot
    assert loud.ended["clipped"] == beyond
    assert max(beyond.values()) > 0
