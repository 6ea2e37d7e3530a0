"""Stock Demucs and our function on the same song, in turns in one run: `make bench-separate SONG=... ROUNDS=3`."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report, stock
from benchmarks.cases import COMMAND_LINE, PRECISIONS, Bench, Case, cases, prepared
from benchmarks.child import Child, Run

SONG = Path(__file__).resolve().parents[1] / "examples" / "slow_motion_dream.mp3"
RUNS = ("whole", "warm")
PARTS = (*RUNS, "quality", "writing")
NAMES = {"cpu": "separate", "cuda": "separate-cuda"}  # of what is written


def measure(wanted: Sequence[Case], rounds: int) -> dict[str, Any]:
    """Every case once in each round."""
    runs: dict[Case, list[Run]] = {case: [] for case in wanted}
    for number in range(rounds):
        for case, so_far in runs.items():
            so_far.append(case.run())
            print(f"round {number + 1}, {case.name}: {so_far[-1].wall:.1f} s for {case.seconds:.1f} s", flush=True)
    bases = {(case.song, case.format): so_far for case, so_far in runs.items() if case.by == COMMAND_LINE}
    return {case.name: _about(case, found, bases[case.song, case.format]) for case, found in runs.items()}


def _about(case: Case, runs: list[Run], base: list[Run]) -> dict[str, Any]:
    """Medians; how much quicker than the command line is the median of the rounds' own ratios."""
    wall = median(run.wall for run in runs)
    return {
        "wall_s": round(wall, 2),
        "times_realtime": round(case.seconds / wall, 2),
        "cpu_s": round(median(run.cpu for run in runs), 2),
        "peak_mib": report.rounded(max(run.peak for run in runs)),
        "times_command_line": round(median(b.wall / run.wall for b, run in zip(base, runs, strict=True)), 2),
        "rounds": [{key: round(value, 2) for key, value in asdict(run).items()} for run in runs],
    }


def quality(bench: Bench) -> dict[str, Any]:
    """Agreement and SDR of each precision."""
    with Child("benchmarks.quality", environment=stock.environment(bench.threads)) as child:
        return {
            precision: child.ask(song=str(bench.song), precision=precision, device=bench.device)
            for precision in PRECISIONS
        }


def writing(bench: Bench, rounds: int) -> dict[str, Any]:
    """Seconds for a song whose parts are written, and for one whose are not, in turns."""
    environment = {**bench.service.environment, "LOG_LEVEL": "error", "OMP_NUM_THREADS": str(bench.threads)}
    times: list[tuple[float, float]] = []
    with Child(
        "benchmarks.writing",
        environment={**environment, "PRECISION": "auto", "DEVICE": bench.device, "TIME_LIMIT": "3600"},
    ) as child:

        def separate(song: Path, *, parts_too: bool) -> float:
            bench.upload(song, "auto", "mp3")
            return float(child.ask(parts_too=parts_too))

        separate(bench.cut, parts_too=True)
        for _ in range(rounds):
            times.append((separate(bench.song, parts_too=True), separate(bench.song, parts_too=False)))
    with_parts, without = (median(column) for column in zip(*times, strict=True))
    cost = median(written / not_written for written, not_written in times) - 1
    return {"with_s": round(with_parts, 2), "without_s": round(without, 2), "cost": round(cost, 4), "rounds": times}


def rows(runs: dict[str, Any]) -> list[report.Row]:
    """What was measured of every case."""
    columns = ("wall_s", "times_realtime", "cpu_s", "peak_mib", "times_command_line")
    head: report.Row = ("", "s", "x realtime", "CPU s", "peak MiB", "x command line")
    return [head, *((name, *(report.cell(one[column]) for column in columns)) for name, one in runs.items())]


def quality_rows(found: dict[str, Any]) -> list[report.Row]:
    """Decibels by stem."""
    first = found[PRECISIONS[0]]
    table: list[report.Row] = [("dB", *first["sdr_db"]), ("SDR on band12: demucs", *_row(first["sdr_demucs_db"]))]
    for precision, one in found.items():
        table.append((f"SDR on band12: ours, {precision} ({one['precision']})", *_row(one["sdr_db"])))
    for precision, one in found.items():
        table.append((f"agreement on the song: {precision} ({one['precision']})", *_row(one["agreement_db"])))
    return table


def _row(values: dict[str, float]) -> list[str]:
    return [f"{value:.2f}" for value in values.values()]


def main() -> None:
    """Measures, prints tables and writes out/separate.json and .png, with what was measured before of other parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("song", nargs="?", type=Path, default=SONG)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=report.hardware()["cores"], help="of both")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of both")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--formats", nargs="+", choices=tuple(stock.FORMATS), default=tuple(stock.FORMATS))
    asked = parser.parse_args()
    with prepared(asked.song, asked.threads, asked.device) as bench:
        findings = report.Findings(NAMES[asked.device], asked.device, threads=asked.threads, seconds=bench.seconds)
        for part in [part for part in RUNS if part in asked.only]:
            wanted = list(cases(bench, [part], asked.formats))
            report.show(rows(findings.measure(part, partial(measure, wanted, asked.rounds), "runs")))
        if "quality" in asked.only:
            report.show(quality_rows(findings.measure("quality", partial(quality, bench))))
        if "writing" in asked.only:
            cost = findings.measure("writing", partial(writing, bench, asked.rounds))["cost"]
            report.show([("", "measured", "to be"), ("writing parts costs", f"{cost:.1%}", "at most 5 %")])
    report.tell(findings.found["hardware"])
    if "runs" in findings.found:
        speeds = {name: one["times_realtime"] for name, one in findings.found["runs"].items()}
        report.plot(findings.name, lambda axes: report.bars(axes, speeds, "times realtime"))


if __name__ == "__main__":
    main()
