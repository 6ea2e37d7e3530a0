"""What benchmarks find is kept, part by part, also where not all of it can be measured."""

import json
import math
import os
from pathlib import Path

import pytest

from benchmarks import network, report
from benchmarks.service import Process
from functions.separate import precision


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "OUT", tmp_path)
    return tmp_path / "found.json"


def read(file: Path) -> dict[str, object]:
    return dict(json.loads(file.read_text()))


def test_parts_of_earlier_runs_are_kept(out: Path) -> None:
    report.Findings("found").measure("one", lambda: [1])
    report.Findings("found", threads=2).measure("two", lambda: [2])
    found = read(out)
    assert (found["one"], found["two"], found["threads"]) == ([1], [2], 2)
    assert list(found["measured"]) == ["one", "two"]  # type: ignore[call-overload]


def test_each_part_is_written_before_the_next_is_measured(out: Path) -> None:
    findings = report.Findings("found")
    findings.measure("one", lambda: [1])
    assert findings.measure("two", lambda: read(out)["one"]) == [1]


def test_cases_of_several_parts_stand_together(out: Path) -> None:
    report.Findings("found").measure("cold", lambda: {"a": 1, "b": 1}, "runs")
    assert report.Findings("found").measure("warm", lambda: {"b": 2, "c": 2}, "runs") == {"b": 2, "c": 2}
    assert read(out)["runs"] == {"a": 1, "b": 2, "c": 2}


def test_a_peak_is_what_the_kernel_counts() -> None:
    process = Process(os.getpid())
    assert 0 < process.begin_peak() < 1 << 20
    assert report.cell(report.rounded(12.4)) == "12"


@pytest.mark.parametrize("counted", [True, False])
def test_a_peak_that_the_kernel_does_not_count_is_unknown(tmp_path: Path, counted: bool) -> None:
    process = Process(os.getpid())
    process._folder = tmp_path / "sandbox"
    process._folder.mkdir()
    (process._folder / "statm").write_text("100 50 0 0 0 0 0")
    (process._folder / "status").write_text("VmHWM: 4096 kB\n" if counted else "VmRSS: 4096 kB\n")
    (process._folder / "clear_refs").mkdir()  # cannot be written
    assert process.begin_peak() > 0
    assert math.isnan(process.peak())
    assert report.cell(report.rounded(process.peak())) == ""


@pytest.mark.parametrize("faster", [True, False])
def test_what_would_only_be_emulated_is_not_measured(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_is_bf16_faster", lambda: faster)
    names = network.measurable(["ours, exact", "ours, fast"])
    assert names == ["stock", "ours, exact", *(["ours, fast"] if faster else [])]
