"""What Knative's parts and the stores take and cost, for docs/scaling.md: `make bench-knative`."""

import argparse
import datetime
import json
import os
import shutil
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
    own = {"waking": lambda: waking.measure(asked.rounds), "idle": lambda: idling.measure(asked.minutes)}
    found = _before()
    for name in sorted(asked.only, key=list(PARTS).index):
        begin = report.hardware()
        found[name] = own.get(name, CLUSTER[name].measure)() if name in CLUSTER else _on_machine(name)
        found.setdefault("measured", {})[name] = _when(begin)
        report.write(NAME, found)
        report.show(PARTS[name].rows(found[name]))
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


def _when(begin: dict[str, Any]) -> dict[str, Any]:
    """On what a part was measured, how busy that was before and after, and the day."""
    load = [begin["load"][0], report.hardware()["load"][0]]
    return {**begin, "load": load, "date": datetime.date.today().isoformat()}


def _before() -> dict[str, Any]:
    """Findings of earlier runs, so that parts can be measured one by one."""
    file = report.OUT / f"{NAME}.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


if __name__ == "__main__":
    main()
