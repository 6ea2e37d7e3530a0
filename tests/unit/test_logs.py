"""Log lines."""

import io
import json
import sys

import pytest

from medley import logs


def test_a_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written apart, another thread's line may come between."""
    written: list[str] = []

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Screen())
    logs.line("info", "queue", "said", song=7)
    (line,) = written
    assert line.endswith("}\n")
    assert json.loads(line) | {"time": 0} == {
        "time": 0,
        "level": "info",
        "function": "queue",
        "message": "said",
        "song": 7,
    }
