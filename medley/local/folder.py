"""The data folder of `medley up`: one owner at a time, and run.json, which says what runs."""

import fcntl
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

RUN = "run.json"
LOCK = "lock"  # held by the owner: who has the process id in run.json may be somebody else by now
LOG = "medley.log"
ROOM = 200_000_000  # bytes that must be free at start: less than a song with its stems helps nobody
TRIES = 25  # at the lock: for an instant, those who ask whether there is an owner keep one from becoming it
AGAIN = 0.02  # s between two


class Trouble(Exception):
    """What keeps `medley up` from running; the message says what to do."""


def take(data: Path) -> IO[bytes]:
    """Makes the folder if need be and becomes its owner, until the file given back is closed. Raises Trouble.

    What an owner that crashed left in run.json goes.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        _probe(data)
        lock = (data / LOCK).open("wb")
    except OSError as error:
        raise Trouble(f"{data} cannot be written: {error.strerror}. Choose another folder with --data.") from error
    for _ in range(TRIES):
        if _locks(lock, fcntl.LOCK_EX):
            forget_run(data)
            return lock
        time.sleep(AGAIN)
    lock.close()
    raise Trouble(f"another `medley up` runs on {data}. Stop it, or choose another folder with --data.")


def _locks(file: IO[bytes], kind: int) -> bool:
    """Whether a lock can be had at once; it stands until the file is closed."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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


def make_private(folder: Path) -> None:
    """Makes a folder that nobody else can look into, and one that was there such a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):  # it is somebody else's, or on a disk that knows no modes
        folder.chmod(0o700)


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
    about = None
    with suppress(OSError, ValueError):
        if _is_taken(data):
            about = json.loads((data / RUN).read_text())
    if not isinstance(about, dict):
        raise Trouble(f"no `medley up` runs on {data}.")
    return about


def _is_taken(data: Path) -> bool:
    """Whether the folder has an owner. Raises OSError where there never was one."""
    with (data / LOCK).open("rb") as lock:
        return not _locks(lock, fcntl.LOCK_SH)


def forget_run(data: Path) -> None:
    (data / RUN).unlink(missing_ok=True)
