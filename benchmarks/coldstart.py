"""From the start of a process to its first segment, weights on disk: `make bench-coldstart`."""

import argparse
import time
from statistics import median
from typing import Any

from benchmarks import report, stock
from benchmarks.child import Child
from benchmarks.separating import Separate
from benchmarks.service import MB, Service, asleep, song

WHOSE = ("stock", "ours")
FIRST = ("interpreter", "import torch", "import ours or demucs", "load", "first segment")


def steps(rounds: int, threads: int) -> dict[str, list[dict[str, float]]]:
    """Every step of both, in turns, each in a process of its own."""
    found: dict[str, list[dict[str, float]]] = {whose: [] for whose in WHOSE}
    for _ in range(rounds):
        for whose, so_far in found.items():
            arguments = (whose, str(time.perf_counter()))
            with Child("benchmarks.starts", *arguments, environment=stock.environment(threads)) as child:
                so_far.append(child.ask())
    return found


def function(service: Service, rounds: int, threads: int) -> dict[str, list[float]]:
    """The function itself: until it is ready, and until the only part of a short song is stored."""
    ready, first = [], []
    for _ in range(rounds):
        name = service.upload(song(MB), format="wav")
        with Separate(service, threads) as separate:
            first.append(separate.first_part(name))
            ready.append(separate.ready)
        service.remove(name)
    return {"ready_s": ready, "first_part_s": first}


def medians(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of each step, and of all up to the first segment."""
    about = {}
    for whose, rounds in found.items():
        about[whose] = {step: round(median(one[step] for one in rounds), 3) for step in rounds[0]}
        about[whose]["to the first segment"] = round(median(sum(one[step] for step in FIRST) for one in rounds), 3)
    return about


def rows(found: dict[str, Any]) -> list[report.Row]:
    """Seconds."""
    table: list[report.Row] = [("s", *WHOSE, "to be")]
    for step in found["steps"]["ours"]:
        target = "at most 3 s" if step == "to the first segment" else ""
        table.append((step, *(f"{found['steps'][whose][step]:.2f}" for whose in WHOSE), target))
    for name, what in (
        ("ready_s", "the function, to its first answer"),
        ("first_part_s", "the function, to its first part in the store"),
    ):
        table.append((what, "", f"{median(found['function'][name]):.2f}"))
    return table


def main() -> None:
    """Measures, prints a table and writes out/coldstart.json and .png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=report.hardware()["cores"])
    asked = parser.parse_args()
    found: dict[str, Any] = {"hardware": report.hardware(), "threads": asked.threads}
    found["rounds"] = steps(asked.rounds, asked.threads)
    found["steps"] = medians(found["rounds"])
    with asleep([stock.MODEL]) as service:
        found["function"] = function(service, asked.rounds, asked.threads)
    report.show(rows(found))
    report.tell(found["hardware"])
    report.write("coldstart", found)
    report.plot("coldstart", lambda axes: _stacked(axes, found["steps"]), size=(9, 3))


def _stacked(axes: Any, about: dict[str, dict[str, float]]) -> None:
    """One bar each, of the steps one after the other."""
    begin = dict.fromkeys(WHOSE, 0.0)
    for step in FIRST:
        axes.barh(WHOSE, [about[whose][step] for whose in WHOSE], left=list(begin.values()), label=step)
        begin = {whose: begin[whose] + about[whose][step] for whose in WHOSE}
    axes.set_xlabel("seconds from the start of the process")
    axes.legend()


if __name__ == "__main__":
    main()
