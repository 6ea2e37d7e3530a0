"""How many threads the limit of a container leaves."""

from pathlib import Path

import pytest

from medley.quota import allowed


@pytest.mark.parametrize(
    ("limit", "threads"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_a_limit_of_version_2(tmp_path: Path, limit: str, threads: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert allowed(8, tmp_path) == threads


@pytest.mark.parametrize(("quota", "threads"), [("-1", 8), ("300000", 3), ("1000", 1)])
def test_a_limit_of_version_1(tmp_path: Path, quota: str, threads: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert allowed(8, tmp_path) == threads


def test_where_there_are_no_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert allowed(8, tmp_path) == 8
