"""What becomes of a benchmark's findings: a table on the screen, a JSON file and a plot in benchmarks/out."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medley.quota import processors

OUT = Path(__file__).resolve().parent / "out"
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # by which a network's speed differs most
Row = Sequence[str]


def hardware(device: str = "cpu") -> dict[str, Any]:
    """The processor, what of it may be used, and how busy others keep it; of "cuda" the GPU too."""
    cpu = _processor()
    name = f"{cpu.get('model name', platform.machine())} (family {cpu.get('cpu family')}, model {cpu.get('model')})"
    return {
        "processor": name,
        "cores": processors(),
        "flags": [flag for flag in FLAGS if flag in cpu.get("flags", "").split()],
        "gpu": _gpu() if device == "cuda" else "",
        "software": f"{platform.system()}, Python {platform.python_version()}, PyTorch {_version('torch')}",
        "load": [round(value, 2) for value in os.getloadavg()],
        "date": date.today().isoformat(),
    }


def _gpu() -> str:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> dict[str, str]:
    """The first processor of /proc/cpuinfo."""
    try:
        first, _, _ = Path("/proc/cpuinfo").read_text().partition("\n\n")
    except FileNotFoundError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def tell(about: Mapping[str, Any]) -> None:
    """The hardware in a sentence."""
    where = f"{about['cores']} cores of {about['processor']}, {' '.join(about['flags'])}"
    where += f", {about['gpu']}" if about.get("gpu") else ""
    print(f"On {where}; {about['software']}; {about['date']}; load average before: {about['load'][0]}.\n")


def show(rows: Sequence[Row]) -> None:
    """A table in Markdown, the first row its head: the first column to the left, the others to the right."""
    columns = max(map(len, rows))
    full = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(3, *(len(row[column]) for row in full)) for column in range(columns)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (full[0], rule, *full[1:]):
        first, *rest = row
        cells = [f"{first:{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))]
        print(f"| {' | '.join(cells)} |", flush=True)
    print()


class Findings:
    """`out/<name>.json`, written anew after each part, with the parts of earlier runs: any can be measured alone."""

    def __init__(self, name: str, device: str = "cpu", **about: Any) -> None:
        self.name, self._device = name, device
        self.found: dict[str, Any] = {**_before(name), "hardware": hardware(device), **about}

    def measure(self, part: str, measured: Callable[[], Any], into: str = "") -> Any:
        """What is found of a part, noted under its name, or beside what there is `into` another; and on what it was."""
        begin = hardware(self._device)
        found = measured()
        self.found[into or part] = {**self.found.get(into, {}), **found} if into else found
        when = {"begin": begin, "end": hardware(self._device), "date": date.today().isoformat()}
        self.found.setdefault("measured", {})[part] = when
        write(self.name, self.found)
        return found


def _before(name: str) -> dict[str, Any]:
    file = OUT / f"{name}.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def rounded(value: float) -> int | None:
    """Rounded; None, of which a table shows nothing, for what is unknown."""
    return None if math.isnan(value) else round(value)


def cell(value: object) -> str:
    """Of a table: nothing for None."""
    return "" if value is None else str(value)


def write(name: str, found: Mapping[str, Any]) -> None:
    """`out/<name>.json`."""
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"written: {OUT / name}.json")


def plot(name: str, draw: Callable[[Any], None], size: tuple[float, float] = (9, 5)) -> None:
    """`out/<name>.png`, of the axes that `draw` fills."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    draw(axes)
    OUT.mkdir(exist_ok=True)
    figure.savefig(OUT / f"{name}.png", dpi=120)
    pyplot.close(figure)
    print(f"written: {OUT / name}.png")


def bars(axes: Any, values: Mapping[str, float], unit: str) -> None:
    """Horizontal bars with their values, the first one on top."""
    names = list(values)[::-1]
    drawn = axes.barh(names, [values[name] for name in names], color="#4477aa")
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.set_xlabel(unit)
    axes.margins(x=0.12)
