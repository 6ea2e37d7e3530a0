"""How near our separator is to Demucs' own network, and how good both are (`python -m benchmarks.quality`)."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import serve
from medley.audio import Mix, decode
from medley.parts import SCALE
from medley.separation import Separation

BAND = Path(__file__).resolve().parents[1] / "tests" / "audio" / "band12"
MODEL = "htdemucs"
OVERLAP = 0.25
Audio = NDArray[np.float32]
Decibels = dict[str, float]


def decoded(song: Path) -> Mix:
    """A song's samples."""
    with song.open("rb") as file, TemporaryFile() as out:
        return decode(file, out)


def decibels(stems: tuple[str, ...], reference: Audio, estimate: Audio) -> Decibels:
    """How much stronger each stem of a reference (stems, 2, n) is than an estimate's difference to it."""
    ratios = {}
    for stem, wanted, found in zip(stems, reference.astype(np.float64), estimate, strict=True):
        error = float(((wanted - found) ** 2).sum())
        ratios[stem] = round(float(10 * np.log10((wanted**2).sum() / max(error, 1e-30))), 2)
    return ratios


class Theirs:
    """Demucs' own network, by its `apply_model`."""

    def __init__(self) -> None:
        from demucs.pretrained import get_model

        self._model = get_model(MODEL)
        self.stems: tuple[str, ...] = tuple(self._model.sources)
        self._segment = int(self._model.models[0].segment * self._model.samplerate)
        self._stride = int((1 - OVERLAP) * self._segment)
        self.sdr = _sdr(self.stems, self.separated)

    def separated(self, mix: Mix) -> Audio:
        """As its command line has it."""
        from demucs.apply import apply_model

        return _scaled(apply_model(self._model, _normalised(mix), shifts=0, overlap=OVERLAP)[0], mix)

    @cache  # noqa: B019  # for as long as the process is there
    def on_our_grid(self, song: str) -> Audio:
        """`apply_model`'s algorithm without the last segment where the one before covers it already."""
        import torch
        from demucs.apply import TensorChunk, apply_model

        mix, segment = decoded(Path(song)), self._segment
        weight = torch.cat([torch.arange(1, segment // 2 + 1), torch.arange(segment - segment // 2, 0, -1)])
        whole, length, weight = _normalised(mix), mix.length, weight / weight.max()
        out, weights = torch.zeros(len(self.stems), 2, length), torch.zeros(length)
        for start in range(0, max(1, length - segment + self._stride), self._stride):
            chunk = TensorChunk(whole, start, segment)
            stems = apply_model(self._model, chunk, shifts=0, split=False)[0]
            out[..., start : start + segment] += weight[: chunk.length] * stems
            weights[start : start + segment] += weight[: chunk.length]
        return _scaled(out / weights, mix)


def _normalised(mix: Mix) -> Any:
    import torch

    return ((torch.tensor(np.ascontiguousarray(mix.samples)) - mix.mean) / (mix.deviation + 1e-8))[None]


def _scaled(out: Any, mix: Mix) -> Audio:
    audio: Audio = (out * (mix.deviation + 1e-8) + mix.mean).numpy()
    return audio


def by_us(separator: Any, mix: Mix) -> Audio:
    """As parts hold it: 24 bits at half amplitude, before any encoding."""
    return (np.concatenate(list(separator.parts(mix)), -1) / SCALE).astype(np.float32)


def main() -> None:
    """Answers {song, precision, device} with agreement on the song, SDR on band12 (theirs too), and the precision."""
    theirs = Theirs()

    def answer(song: str, precision: str, device: str) -> dict[str, Any]:
        from functions.separate.engine import Engine

        reference = theirs.on_our_grid(song)  # first: an engine on a GPU leaves one thread to what computes on the CPU
        ours = Engine(device, precision).separator(Separation(MODEL))
        agreement = decibels(ours.stems, reference, by_us(ours, decoded(Path(song))))
        found = {"precision": ours.precision, "agreement_db": agreement}
        return {**found, "sdr_db": _sdr(ours.stems, partial(by_us, ours)), "sdr_demucs_db": theirs.sdr}

    serve(answer)


def _sdr(stems: tuple[str, ...], separate: Callable[[Mix], Audio]) -> Decibels:
    """Global SDR on a song whose stems are known, over both channels."""
    estimate = separate(decoded(BAND / "mixture.flac"))
    known = np.stack([decoded(BAND / f"{stem}.flac").samples.copy() for stem in stems])
    return decibels(stems, known, estimate)


if __name__ == "__main__":
    main()
