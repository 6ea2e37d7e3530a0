"""How much of its processors a process may use: a container's limit is no number of processors that PyTorch sees."""

import os
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def processors() -> int:
    """How many this process may use."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return allowed(there or 1)


def allowed(threads: int, cgroups: Path = CGROUPS) -> int:
    """So many threads, or as many as the limit of the control group lets run at a time, at least one.

    With more the group is stopped for the rest of each period as soon as they have used it up, spinning threads first.
    """
    quota, period = _version_2(cgroups) or _version_1(cgroups) or (0, 1)
    return max(1, min(threads, quota // period)) if quota > 0 else threads


def _version_2(cgroups: Path) -> tuple[int, int] | None:
    """Microseconds in each period, and those of the period; of no limit, "max", nothing."""
    with suppress(OSError, ValueError):
        quota, period = (cgroups / "cpu.max").read_text().split()
        return int(quota), int(period)
    return None


def _version_1(cgroups: Path) -> tuple[int, int] | None:
    """Likewise; -1 is no limit."""
    with suppress(OSError, ValueError):
        quota, period = ((cgroups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota), int(period)
    return None
