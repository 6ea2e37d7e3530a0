"""One stream of log lines of everything that `medley up` runs: JSON lines, to stderr and to a file."""

import json
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

KEPT = 20_000_000  # bytes, above which a log is put aside


class Log(Protocol):
    """What the parts of `medley up` write to."""

    def line(self, level: str, function: str, message: str, **fields: Any) -> None:
        """Writes one line; `level` is debug, info or error."""


class LogFile:
    """The stream. Lines of level debug only go to the file."""

    def __init__(self, file: Path, screen: TextIO = sys.stderr) -> None:
        self._path = file
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._screen = screen

    def line(self, level: str, function: str, message: str, **fields: Any) -> None:
        about = {"time": round(time.time(), 3), "level": level, "function": function, "message": message, **fields}
        self._write(json.dumps(about, default=str), level)

    def of(self, child: str, level: str = "info") -> Callable[[bytes], None]:
        """What takes the output of one child, line by line; `level` is that of lines that are no JSON."""
        return lambda line: self._take(child, level, line)

    def close(self) -> None:
        self._file.close()

    def _take(self, child: str, level: str, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            return
        own = _json(text)
        if own is None:
            self.line(level, child, text)
        elif not own.get("relayed"):  # by the log sink: the line itself is in the stream already
            self._write(text, str(own.get("level", "info")))

    def _write(self, text: str, level: str) -> None:
        """A disk that is full must not stop what is running."""
        with suppress(OSError, ValueError):
            self._put_aside()
        for stream in (self._file,) if level == "debug" else (self._file, self._screen):
            try:
                stream.write(text + "\n")
                stream.flush()
            except (OSError, ValueError):
                continue

    def _put_aside(self) -> None:
        """Begins a new file where this one is large, in place of what was put aside before."""
        if self._file.tell() > KEPT:
            self._path.replace(self._path.with_suffix(".log.1"))
            begun = self._path.open("a", encoding="utf-8", buffering=1)
            self._file.close()
            self._file = begun


class Forward(logging.Handler):
    """What libraries log in this process, in the stream."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.line("error", "up", f"{record.name}: {self.format(record)}")


def _json(text: str) -> dict[str, Any] | None:
    """A JSON line, None when the text is none."""
    if not text.startswith("{"):
        return None
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
