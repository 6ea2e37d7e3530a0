"""The HTTP functions of a running service, measured beside the S3 server behind them: `make bench-http`."""

import argparse
from typing import Any

from benchmarks import fetching, queueing, report, service, starting, uploading

PARTS = ("start", "fetch", "upload", "queue")


def main() -> None:
    """Starts the service, measures, prints a table and writes out/http.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"which of {', '.join(PARTS)}; all of them otherwise")
    parser.add_argument("--rounds", type=int, default=15, help="of each measurement")
    asked = parser.parse_args()
    found: dict[str, Any] = {"hardware": report.hardware()}
    with service.running() as running:
        found |= {part: _measure(part, running, asked.rounds) for part in asked.parts}
    report.show([("", "measured", "to be")] + [row for part in asked.parts for row in _rows(part, found[part])])
    report.tell(found["hardware"])
    report.write("http", found)


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


if __name__ == "__main__":
    main()
