"""How near our separator is to Demucs' own network, and how good both are (`python -m benchmarks.quality`)."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import serve
from functions.separate.grid import Grid, OverlapAdd
from medley.audio import Mix, decode
from medley.settings import settings

BAND = Path(__file__).resolve().parents[1] / "tests" / "audio" / "band12"
Audio = NDArray[np.float32]
Segment = Callable[[int], Audio]
Decibels = dict[str, float]


class Sums:
    """Energy of a reference, and of the difference to it, by stem, over all parts."""

    def __init__(self, stems: tuple[str, ...]) -> None:
        self.stems = stems
        self._signal = np.zeros(len(stems))
        self._error = np.zeros(len(stems))

    def add(self, reference: Audio, estimate: Audio) -> None:
        """Two parts (stems, 2, n)."""
        wanted = reference.astype(np.float64)
        self._signal += (wanted**2).sum((1, 2))
        self._error += ((wanted - estimate) ** 2).sum((1, 2))

    def decibels(self) -> Decibels:
        ratio = 10 * np.log10(self._signal / np.maximum(self._error, 1e-30))
        return {stem: round(float(value), 2) for stem, value in zip(self.stems, ratio, strict=True)}


def main() -> None:
    """Answers {song, precision} with agreement on the song, SDR on band12 (theirs too), and what was computed in."""
    import torch
    from demucs.apply import TensorChunk, apply_model
    from demucs.pretrained import get_model

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    demucs = get_model("htdemucs")

    def by_demucs(mix: Mix, grid: Grid) -> Segment:
        """Its own network and normalisation, on our segments."""
        deviation = mix.deviation + 1e-8
        normalised = ((torch.tensor(np.ascontiguousarray(mix.samples)) - mix.mean) / deviation)[None]

        def segment(k: int) -> Audio:
            start, end = grid.segment_bounds(k)
            out = apply_model(demucs, TensorChunk(normalised, start, end - start), shifts=0, split=False)[0]
            audio: Audio = (out * deviation + mix.mean).numpy()
            return audio

        return segment

    def whole(mix: Mix) -> Audio:
        """As the command line has it, last segment and all."""
        deviation = mix.deviation + 1e-8
        normalised = ((torch.tensor(np.ascontiguousarray(mix.samples)) - mix.mean) / deviation)[None]
        audio: Audio = (apply_model(demucs, normalised, shifts=0, overlap=0.25)[0] * deviation + mix.mean).numpy()
        return audio

    def answer(song: str, precision: str) -> dict[str, Any]:
        from functions.separate.separator import load

        ours = load("htdemucs", "cpu", settings().weights_dir, precision)
        with TemporaryDirectory() as folder:
            mix = decoded(Path(song), folder)
            grid = ours.grid(mix.length)
            agreement = Sums(ours.stems)
            theirs = joined(grid, by_demucs(mix, grid))
            for part, reference in zip(joined(grid, _by(ours, mix)), theirs, strict=True):
                agreement.add(reference, part)
            return {
                "precision": ours.precision,
                "agreement_db": agreement.decibels(),
                "sdr_db": _sdr(
                    ours.stems, lambda band: np.concatenate(list(joined(ours.grid(band.length), _by(ours, band))), -1)
                ),
                "sdr_demucs_db": _sdr(ours.stems, whole),
            }

    serve(answer)


def decoded(song: Path, folder: str) -> Mix:
    with song.open("rb") as file:
        return decode(file, Path(folder) / "mix")


def _by(separator: Any, mix: Mix) -> Segment:
    return lambda k: separator.separate(mix.samples, mix.mean, mix.deviation, k)


def joined(grid: Grid, segment: Segment) -> "Any":
    """The parts, one after the other."""
    overlap = OverlapAdd(grid)
    return (overlap.add(k, segment(k)) for k in range(grid.count))


def _sdr(stems: tuple[str, ...], separate: Callable[[Mix], Audio]) -> Decibels:
    """Global SDR on a song whose stems are known, over both channels."""
    sums = Sums(stems)
    with TemporaryDirectory() as folder:
        estimate = separate(decoded(BAND / "mixture.flac", folder))
        known = [decoded(BAND / f"{stem}.flac", folder).samples.copy() for stem in stems]
    sums.add(np.stack(known), estimate)
    return sums.decibels()


if __name__ == "__main__":
    main()
