"""What Knative's parts and the stores take and cost, for docs/scaling.md: `make bench-knative`."""

import argparse
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.sizing import asking, backbone, burst, capacity, counting, events, idling, storing, sweeping, waking

NAME = "knative"
MACHINE: dict[str, Any] = {
    "requests": asking,
    "events": events,
    "counts": counting,
    "sweep": sweeping,
    "storage": storing,
}
CLUSTER: dict[str, Any] = {"waking": waking, "burst": burst, "idle": idling}
PARTS = {**MACHINE, **CLUSTER}


def main() -> None:
    """Measures, prints tables, writes out/knative.json with what was measured before of other parts, and a plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[name for name in PARTS if _possible(name)])
    parser.add_argument("--rounds", type=int, default=3, help="of what starts from zero")
    parser.add_argument("--minutes", type=float, default=idling.MINUTES, help="of idleness")
    asked = parser.parse_args()
    measured: dict[str, Callable[[], Any]] = {name: partial(_on_machine, name) for name in MACHINE}
    measured |= {name: part.measure for name, part in CLUSTER.items()}
    measured |= {"waking": lambda: waking.measure(asked.rounds), "idle": lambda: idling.measure(asked.minutes)}
    findings = report.Findings(NAME)
    found = findings.found
    for name in sorted(asked.only, key=list(PARTS).index):
        report.show(PARTS[name].rows(findings.measure(name, measured[name])))
    if "burst" in asked.only:
        report.plot("burst", lambda axes: burst.draw(axes, found["burst"]))
    if all(name in found for name in MACHINE):
        report.show(capacity.rows(found))


def _possible(part: str) -> bool:
    """Knative's parts are built by Go; the cluster is that of `make cluster`."""
    if part in CLUSTER:
        return Path(os.environ.get("KUBECONFIG", "")).is_file()
    return part in ("counts", "sweep") or (shutil.which("go") is not None and os.geteuid() == 0)


def _on_machine(part: str) -> dict[str, Any]:
    with backbone.running() as stores:
        return dict(MACHINE[part].measure(stores))


if __name__ == "__main__":
    main()
