"""The HTTP functions of a running service, measured beside the S3 server behind them: `make bench-http`."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks import fetching, queueing, service, starting, uploading

OUT = Path(__file__).resolve().parent / "out" / "http.json"
PARTS = ("start", "fetch", "upload", "queue")


def main() -> None:
    """Starts the service, measures, prints a table and writes out/http.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"which of {', '.join(PARTS)}; all of them otherwise")
    parser.add_argument("--rounds", type=int, default=15, help="of each measurement")
    asked = parser.parse_args()
    found: dict[str, Any] = {"hardware": _hardware()}
    with service.running() as running:
        found |= {part: _measure(part, running, asked.rounds) for part in asked.parts}
    _print([("hardware", found["hardware"], "")] + [row for part in asked.parts for row in _rows(part, found[part])])
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")


def _measure(part: str, running: service.Service, rounds: int) -> dict[str, Any]:
    match part:
        case "start":
            return starting.measure(running, max(1, rounds // 2))
        case "fetch":
            return fetching.measure(running, rounds)
        case "upload":
            return uploading.measure(running, max(1, rounds // 5))
        case "queue":
            return queueing.measure(running)
        case _:
            raise SystemExit(f"{part!r} is none of {', '.join(PARTS)}")


def _rows(part: str, found: dict[str, Any]) -> list[tuple[str, str, str]]:
    modules = {"start": starting, "fetch": fetching, "upload": uploading, "queue": queueing}
    return list(modules[part].rows(found))


def _hardware() -> str:
    """The processor's name and the number of cores that may be used."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def _print(rows: list[tuple[str, str, str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for what, value, target in rows:
        print(f"{what:{widths[0]}}  {value:>{widths[1]}}  {target}".rstrip())


if __name__ == "__main__":
    main()
