"""How near our separator is to Demucs' own network, and how good both are (`python -m benchmarks.quality`)."""

from collections.abc import Callable
from functools import cache
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


def main() -> None:
    """Answers {song, precision, device} with agreement on the song, SDR on band12 (theirs too), and the precision."""
    import torch
    from demucs.apply import TensorChunk, apply_model
    from demucs.pretrained import get_model

    demucs = get_model(MODEL)
    segment = int(demucs.models[0].segment * demucs.samplerate)
    stride = int((1 - OVERLAP) * segment)

    def normalised(mix: Mix) -> Any:
        return ((torch.tensor(np.ascontiguousarray(mix.samples)) - mix.mean) / (mix.deviation + 1e-8))[None]

    def back(out: Any, mix: Mix) -> Audio:
        audio: Audio = (out * (mix.deviation + 1e-8) + mix.mean).numpy()
        return audio

    def by_demucs(mix: Mix) -> Audio:
        """As its command line has it."""
        return back(apply_model(demucs, normalised(mix), shifts=0, overlap=OVERLAP)[0], mix)

    def on_our_grid(mix: Mix) -> Audio:
        """`apply_model`'s algorithm without the last segment where the one before covers it already."""
        whole, length = normalised(mix), mix.length
        weight = torch.cat([torch.arange(1, segment // 2 + 1), torch.arange(segment - segment // 2, 0, -1)])
        weight = weight / weight.max()
        out, weights = torch.zeros(len(demucs.sources), 2, length), torch.zeros(length)
        for start in range(0, max(1, length - segment + stride), stride):
            chunk = TensorChunk(whole, start, segment)
            stems = apply_model(demucs, chunk, shifts=0, split=False)[0]
            out[..., start : start + segment] += weight[: chunk.length] * stems
            weights[start : start + segment] += weight[: chunk.length]
        return back(out / weights, mix)

    @cache
    def theirs(song: str) -> tuple[Audio, Decibels]:
        """What does not depend on our precision: Demucs' stems of the song on our grid, and its SDR."""
        return on_our_grid(decoded(Path(song))), _sdr(tuple(demucs.sources), by_demucs)

    def answer(song: str, precision: str, device: str) -> dict[str, Any]:
        from functions.separate.engine import Engine

        reference, sdr = theirs(song)  # first: an engine on a GPU leaves one thread to what computes on the CPU
        ours = Engine(device, precision).separator(Separation(MODEL))

        def by_us(mix: Mix) -> Audio:
            """As parts hold it: 24 bits at half amplitude, before any encoding."""
            return (np.concatenate(list(ours.parts(mix)), -1) / SCALE).astype(np.float32)

        agreement = decibels(ours.stems, reference, by_us(decoded(Path(song))))
        found = {"precision": ours.precision, "agreement_db": agreement}
        return {**found, "sdr_db": _sdr(ours.stems, by_us), "sdr_demucs_db": sdr}

    serve(answer)


def _sdr(stems: tuple[str, ...], separate: Callable[[Mix], Audio]) -> Decibels:
    """Global SDR on a song whose stems are known, over both channels."""
    estimate = separate(decoded(BAND / "mixture.flac"))
    known = np.stack([decoded(BAND / f"{stem}.flac").samples.copy() for stem in stems])
    return decibels(stems, known, estimate)


if __name__ == "__main__":
    main()
