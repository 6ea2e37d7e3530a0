"""Peak memory of the function by the length of songs, and after many of them in one process: `make bench-memory`."""

import argparse
import random
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import report, stock
from benchmarks.separating import Separate
from benchmarks.service import MB, MODEL, Service, asleep, song
from medley.output import Output
from medley.parts import SCALE
from medley.render import encode

RATE = 44100  # Hz
MINUTE = 60
LENGTHS = {MODEL: (5 * MINUTE, 60 * MINUTE, 180 * MINUTE), stock.MODEL: (5 * MINUTE, 20 * MINUTE)}  # s
PARTS = {"tiny": MODEL, "real": stock.MODEL}
SONGS, SETTLED = 200, 20  # in one process; after how many of them its memory should be what it stays


def by_length(
    service: Service, model: str, lengths: tuple[int, ...], threads: int, folder: Path
) -> list[dict[str, Any]]:
    """Each song in a process of its own, to all stems as wav."""
    found = []
    for seconds in lengths:
        path = folder / f"{seconds}.flac"
        path.write_bytes(b"".join(music(seconds)))
        name = service.upload(path.read_bytes(), "audio/flac", model=model, format="wav")
        path.unlink()
        with Separate(service, threads, MAX_SECONDS=str(max(lengths) + 1)) as separate:
            run = separate.separate(name)
        service.remove(name)
        found.append(
            {"model": model, "seconds": seconds, "peak_mib": report.rounded(run.peak), "wall_s": round(run.wall, 1)}
        )
        print(f"{model}, {seconds // MINUTE} min: {run.peak:.0f} MiB, {run.wall:.0f} s", flush=True)
    return found


def many(service: Service, threads: int, songs: int) -> list[float]:
    """MiB of one process after each of many short songs of different lengths."""
    resident = []
    with Separate(service, threads) as separate:
        for _ in range(songs):
            name = service.upload(song(random.randint(MB // 5, MB)), model=MODEL)
            separate.separate(name)
            resident.append(round(separate.kernel.resident(), 1))
            service.remove(name)
    return resident


def music(seconds: int) -> Any:
    """A FLAC file of chords that fade, piece by piece: a minute of them over and over."""
    t = np.arange(MINUTE * RATE) / RATE
    chords = sum(np.sin(2 * np.pi * f * t) * np.exp(-3 * (t % p)) for f, p in ((110, 1.0), (277, 0.75), (660, 0.5)))
    minute = np.rint(SCALE * np.stack([0.2 * chords, 0.15 * chords])).astype(np.int32)
    return encode(Output("other", "flac"), (minute for _ in range(seconds // MINUTE)), seconds * RATE)


def rows(found: dict[str, Any]) -> list[report.Row]:
    """Peaks, and how they compare with the shortest song's."""
    table: list[report.Row] = [("", "peak MiB", "x shortest", "s", "to be")]
    for name, target in (("tiny", "at most 1.25 x"), ("real", "below 3000 MB")):
        for one in found.get(name, []):
            times = f"{one['peak_mib'] / found[name][0]['peak_mib']:.2f}" if one["peak_mib"] else ""
            what = f"{one['model']}, {one['seconds'] // MINUTE} min"
            table.append((what, report.cell(one["peak_mib"]), times, f"{one['wall_s']:.0f}", target))
    if "many" in found:
        last, settled = found["many"][-1], found["many"][min(SETTLED, len(found["many"])) - 1]
        what = f"{len(found['many'])} songs in one process: after the last, and over that after {SETTLED}"
        table.append((what, f"{last:.0f}", f"{last / settled:.3f}", "", "at most 1.05 x"))
    return table


def main() -> None:
    """Measures, prints a table and writes out/memory.json and .png, with what was measured before of other parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=report.hardware()["cores"])
    parser.add_argument("--only", nargs="+", choices=(*PARTS, "many"), default=(*PARTS, "many"))
    parser.add_argument("--songs", type=int, default=SONGS)
    parser.add_argument("--longest", type=int, default=180, help="minutes: leaves longer songs out")
    asked = parser.parse_args()
    findings = report.Findings("memory", threads=asked.threads)
    limits = {"MAX_SECONDS": str(asked.longest * MINUTE + 1), "MAX_BYTES": "2000000000"}
    with TemporaryDirectory() as folder, asleep([MODEL, stock.MODEL], **limits) as service:
        for part, model in PARTS.items():
            if part in asked.only:
                lengths = tuple(seconds for seconds in LENGTHS[model] if seconds <= asked.longest * MINUTE)
                findings.measure(part, partial(by_length, service, model, lengths, asked.threads, Path(folder)))
        if "many" in asked.only:
            findings.measure("many", partial(many, service, asked.threads, asked.songs))
    found = findings.found
    report.show(rows({part: found[part] for part in asked.only}))
    report.tell(found["hardware"])
    if "many" in found:
        report.plot("memory", lambda axes: _line(axes, found["many"]))


def _line(axes: Any, resident: list[float]) -> None:
    axes.plot(range(1, len(resident) + 1), resident)
    axes.set(xlabel="songs in one process", ylabel="MiB resident", ylim=(0, None))


if __name__ == "__main__":
    main()
