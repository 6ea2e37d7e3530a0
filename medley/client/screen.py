"""What the command line shows: results on stdout, everything about the way there on stderr."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from tqdm import tqdm

from medley.client.api import Answer
from medley.client.errors import BadCall, ClientError, MedleyProblem
from medley.client.upload import Progress

OK, FAILED, USAGE, UNREACHABLE, NOT_THERE = range(5)
NOT_THERE_YET = ("not-found", "not-ready", "not-finished")


class Screen:
    """`as_json`: stdout gets one JSON document a line and nothing else."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def result(self, document: Any, *lines: str) -> None:
        """What was asked for: the document for scripts, or lines for people."""
        if self._as_json:
            click.echo(json.dumps(document))
            return
        for line in lines:
            click.echo(plain(line))

    def note(self, text: str) -> None:
        """Something to know meanwhile."""
        click.echo(plain(text), err=True)

    def failed(self, error: ClientError | OSError) -> int:
        """Tells an error. Returns the exit code that it means."""
        self.note(f"medley: {error}")
        if self._as_json:
            click.echo(json.dumps({"error": error_record(error)}))
        return exit_code(error)

    @contextmanager
    def bytes_bar(self, label: str) -> Iterator[Progress]:
        """A bar for what has a size in bytes, with the time that is left."""
        with tqdm(
            desc=plain(label), unit="B", unit_scale=True, unit_divisor=1024, leave=False, disable=None, file=sys.stderr
        ) as bar:

            def progress(done: int, total: int | None) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield progress

    @contextmanager
    def song_bar(self, label: str) -> Iterator[Callable[[Answer], None]]:
        """A bar for a song that is being separated, with the time that the service thinks is left."""
        layout = "{percentage:3.0f}% |{bar:30}| {desc}"
        with tqdm(total=1.0, leave=False, disable=None, file=sys.stderr, bar_format=layout) as bar:

            def progress(song: Answer) -> None:
                bar.n = song.get("progress") or 0.0
                bar.set_description_str(plain(f"{label}: {how(song)}"))

            yield progress


def how(song: Answer) -> str:
    """How a song is getting on, in a few words."""
    status, ahead, left = song.get("status", "?"), song.get("position"), song.get("eta_seconds")
    if status == "queued" and ahead:
        return f"queued, {ahead} {'song' if ahead == 1 else 'songs'} ahead"
    if status == "processing" and left is not None:
        return f"separating, {song.get('progress', 0.0):.0%}, {clock(left)} left"
    if status == "failed":
        return f"failed: {(song.get('error') or {}).get('detail', 'no reason given')}"
    return str(status)


def clock(seconds: float) -> str:
    """Minutes and seconds, such as 3:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def plain(text: str) -> str:
    """Without what could steer a terminal: song names come from strangers."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def exit_code(error: ClientError | OSError) -> int:
    """The exit code that an error means to scripts."""
    match error:
        case BadCall():
            return USAGE
        case MedleyProblem():
            return NOT_THERE if error.status == 404 or error.slug in NOT_THERE_YET else FAILED
        case ClientError():
            return UNREACHABLE
        case _:
            return FAILED


def error_record(error: ClientError | OSError) -> dict[str, Any]:
    """An error as JSON."""
    if isinstance(error, MedleyProblem):
        return error.record()
    kind = {USAGE: "usage", UNREACHABLE: "unreachable"}.get(exit_code(error), "file")
    return {"type": kind, "detail": str(error)}
