"""HTDemucs' forward alone, over one segment: ours beside the others, in turns in one run: `make bench-network`."""

import argparse
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import report, stock
from benchmarks.child import Child, Run
from benchmarks.contenders import CONTENDERS, obtain_onnx

GFLOP = 335.0  # of one segment of 7.8 s
STOCK = "stock"


def measurable(names: Collection[str]) -> list[str]:
    """Stock, and those named; but none in bfloat16 where the processor only emulates that, a hundred times slower."""
    from functions.separate.precision import choose

    named = [one for one in CONTENDERS.values() if one.name in {STOCK, *names}]
    if choose("fast", "cpu") == "fast":
        return [one.name for one in named]
    print("Nothing here is faster in bfloat16: what computes in it is left out.", flush=True)
    return [one.name for one in named if one.precision == "float32"]


def measure(names: list[str], rounds: int, threads: int) -> dict[str, Any]:
    """Every contender once in each round, after one that does not count; the machine's rate is taken between them."""
    times: dict[str, list[tuple[float, Run]]] = {name: [] for name in names}
    rates: dict[str, list[float]] = {CONTENDERS[name].precision: [] for name in names}
    with ExitStack() as stack, TemporaryDirectory() as folder:
        gemm = stack.enter_context(Child("benchmarks.gemm", environment=stock.environment(threads)))
        children, stems = {}, {}
        for name in names:
            environment = {**stock.environment(threads), **CONTENDERS[name].environment}
            children[name] = stack.enter_context(Child("benchmarks.contenders", name, environment=environment))
            stems[name] = _stems(children[name], Path(folder))
            print(f"ready: {name}", flush=True)
        agreement = _agreement(stems)
        for number in range(rounds):
            for precision, found in rates.items():
                found.append(gemm.ask(precision=precision))
            for name, child in children.items():
                run, seconds = child.run()
                times[name].append((seconds, run))
                print(f"round {number + 1}, {name}: {seconds:.2f} s", flush=True)
    gemms = {precision: round(median(found)) for precision, found in rates.items()}
    return {"gemm_gflop_per_s": gemms, "contenders": {name: _about(name, times, gemms, agreement) for name in names}}


def _stems(child: Child, folder: Path) -> Any:
    """What it makes of the segment."""
    child.ask(out=str(folder / "stems.npy"))
    return np.load(folder / "stems.npy").astype(np.float64)


def _agreement(stems: dict[str, Any]) -> dict[str, float]:
    """How near each is to the stock one, in dB, by the stem that agrees least."""
    wanted = stems[STOCK]
    errors = {name: ((found - wanted) ** 2).sum((1, 2)) for name, found in stems.items()}
    return {
        name: float(10 * np.log10((wanted**2).sum((1, 2)) / np.maximum(error, 1e-30)).min())
        for name, error in errors.items()
    }


def _about(name: str, times: dict[str, Any], gemms: dict[str, int], agreement: dict[str, float]) -> dict[str, Any]:
    """Medians; how much quicker than stock is the median of the rounds' own ratios."""
    seconds = [one for one, _ in times[name]]
    rate = GFLOP / median(seconds)
    return {
        "precision": CONTENDERS[name].precision,
        "seconds": round(median(seconds), 3),
        "cpu_s": round(median(run.cpu for _, run in times[name]) / CONTENDERS[name].together, 2),
        "times_stock": round(median(b / s for (b, _), s in zip(times[STOCK], seconds, strict=True)), 2),
        "gflop_per_s": round(rate),
        "of_gemm": round(rate / gemms[CONTENDERS[name].precision], 2),
        "agreement_db": round(agreement[name], 1),
        "peak_mib": report.rounded(max(run.peak for _, run in times[name])),
        "rounds": [round(one, 3) for one in seconds],
    }


def rows(found: dict[str, Any]) -> list[report.Row]:
    """What was measured of every contender."""
    head: report.Row = ("", "s", "CPU s", "x stock", "GFLOP/s", "of GEMM", "dB to stock", "peak MiB")
    columns = ("seconds", "cpu_s", "times_stock", "gflop_per_s", "of_gemm", "agreement_db", "peak_mib")
    table = [head]
    for name, one in found["contenders"].items():
        table.append((f"{name} ({one['precision']})", *(report.cell(one[column]) for column in columns)))
    return [
        *table,
        *((f"GEMM, {precision}", "", "", "", str(rate)) for precision, rate in found["gemm_gflop_per_s"].items()),
    ]


def main() -> None:
    """Measures, prints a table and writes out/network.json and .png, with what was measured before of others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=report.hardware()["cores"])
    parser.add_argument("--only", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS))
    asked = parser.parse_args()
    obtain_onnx()
    names = measurable(asked.only)
    findings = report.Findings("network", threads=asked.threads)

    def contenders() -> dict[str, Any]:
        measured = measure(names, asked.rounds, asked.threads)
        findings.found["gemm_gflop_per_s"] = measured["gemm_gflop_per_s"]
        return dict(measured["contenders"])

    measured = findings.measure(", ".join(names), contenders, "contenders")
    found = findings.found
    report.show(rows({**found, "contenders": measured}))
    report.tell(found["hardware"])
    seconds = {name: one["seconds"] for name, one in found["contenders"].items()}
    report.plot("network", lambda axes: report.bars(axes, seconds, "seconds for 7.8 s of music"))


if __name__ == "__main__":
    main()
