"""The data folder of `medley up`: one owner at a time, and run.json, which says what runs."""

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any

RUN = "run.json"
LOG = "medley.log"
ROOM = 200_000_000  # bytes that must be free at start: less than a song with its stems helps nobody


class Trouble(Exception):
    """What keeps `medley up` from running; the message says what to do."""


def take(data: Path) -> IO[bytes]:
    """Makes the folder if need be and becomes its owner, until the file given back is closed. Raises Trouble."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        _probe(data)
        lock = (data / "lock").open("wb")
    except OSError as error:
        raise Trouble(f"{data} cannot be written: {error.strerror}. Choose another folder with --data.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Trouble(f"another `medley up` runs on {data}. Stop it, or choose another folder with --data.") from error
    return lock


def _probe(data: Path) -> None:
    """Whether there is room, and a quota or a read-only disk does not say otherwise."""
    free = shutil.disk_usage(data).free
    if free < ROOM:
        raise Trouble(
            f"the disk of {data} is full: {free // 1_000_000} MB are free, {ROOM // 1_000_000} MB are needed."
        )
    probe = data / f"probe.{os.getpid()}"
    try:
        probe.write_bytes(bytes(1_000_000))
    finally:
        probe.unlink(missing_ok=True)


def write_run(data: Path, about: dict[str, Any]) -> None:
    """Puts run.json there in one step, readable by its owner only: it holds keys."""
    write_private(data / RUN, json.dumps(about, indent=1) + "\n")


def write_private(file: Path, text: str) -> None:
    """Writes a file that nobody else can read, whole or not at all."""
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    new.replace(file)


def read_run(data: Path) -> dict[str, Any]:
    """What runs on a data folder. Raises Trouble when nothing does."""
    try:
        about = json.loads((data / RUN).read_text())
        os.kill(about["pid"], 0)
    except (OSError, ValueError, KeyError) as error:
        raise Trouble(f"no `medley up` runs on {data}.") from error
    return dict(about)


def forget_run(data: Path) -> None:
    (data / RUN).unlink(missing_ok=True)
