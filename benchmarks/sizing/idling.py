"""On a cluster: pods while nobody asks for anything."""

import json
import subprocess
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Row
from medley import names
from tests.knative.on_cluster.deployed import asleep
from tests.knative.on_cluster.kubectl import NAMESPACE

MINUTES = 10.0  # a multiple of the schedule in knative/base/ping.yaml
SERVICE = "serving.knative.dev/service"


@dataclass
class Life:
    """When a pod was to be seen, s since 1970."""

    function: str
    begin: float
    end: float = float("inf")


class Watch:
    """Follows all pods of functions from its start on."""

    def __init__(self) -> None:
        command = [
            "kubectl",
            "-n",
            NAMESPACE,
            "get",
            "pods",
            "-l",
            SERVICE,
            "--watch",
            "--output-watch-events",
            "-o",
            "json",
        ]
        self.lives: dict[str, Life] = {}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._follow, daemon=True).start()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _follow(self) -> None:
        """Each line is a document."""
        for line in self._process.stdout or ():
            self._take(json.loads(line))

    def _take(self, change: dict[str, Any]) -> None:
        about, now = change["object"]["metadata"], time.time()
        life = self.lives.setdefault(about["name"], Life(about["labels"][SERVICE], now))
        if change["type"] == "DELETED":
            life.end = now


def measure(minutes: float = MINUTES) -> dict[str, Any]:
    """Pod-seconds an hour of each function, from when all are asleep, and how long each pod that woke was there."""
    for name in names.FUNCTIONS:
        asleep(name, 300)
    watch, begin = Watch(), time.time()
    time.sleep(60 * minutes)
    end = time.time()
    watch.end()
    seconds: dict[str, float] = defaultdict(float)
    for life in watch.lives.values():
        seconds[life.function] += max(0.0, min(life.end, end) - max(life.begin, begin))
    hour = {name: round(seconds[name] * 60 / minutes) for name in names.FUNCTIONS}
    lives = [round(life.end - life.begin, 1) for life in watch.lives.values() if life.end < end]
    return {
        "minutes": minutes,
        "pod_s_an_hour": hour,
        "pods_s": lives,
        "pod_minutes_an_hour": round(sum(hour.values()) / 60, 1),
    }


def rows(found: dict[str, Any]) -> list[Row]:
    awake = {name: seconds for name, seconds in found["pod_s_an_hour"].items() if seconds}
    each = ", ".join(f"{name} {seconds} s" for name, seconds in awake.items()) or "none"
    return [
        (f"pods an hour while nobody asks (watched for {found['minutes']:g} min)", each),
        ("all together", f"{found['pod_minutes_an_hour']:.1f} pod-minutes an hour"),
        ("each pod that woke was there for", ", ".join(f"{seconds:.0f} s" for seconds in found["pods_s"])),
    ]
