"""A song on its way to the service: read from disk piece by piece, never held in memory."""

import mimetypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from medley.client.errors import BadCall

Progress = Callable[[int, int | None], None]  # bytes so far, and in all (None: not known)
MAX_NAME = 150  # characters: a name in a query must leave the request's line below what servers take


class Upload:
    """A file as a request's body. Raises BadCall for one that cannot be read twice, like a pipe."""

    def __init__(self, file: BinaryIO, progress: Progress | None = None) -> None:
        if not file.seekable():
            raise BadCall("A song must come from a file, since it may have to be sent again.")
        self._file = file
        self._progress = progress
        self._start = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._start
        self._sent = 0
        self.trouble: OSError | None = None  # what reading it failed by, which urllib3 takes for the connection's

    def rewind(self) -> None:
        """To where the file stood at first."""
        self._file.seek(self._start)
        self._sent = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, never more than the file had at first: its length is promised already."""
        left = self.size - self._sent
        try:
            piece = self._file.read(min(size, left) if size >= 0 else left)
        except OSError as error:
            self.trouble = error
            raise
        self._sent += len(piece)
        if self._progress and piece:
            self._progress(self._sent, self.size)
        return piece


def content_type(name: str) -> str:
    """An audio or video type from a file's name; the service looks into the file anyway."""
    guess, _ = mimetypes.guess_type(name)
    return guess if guess and guess.startswith(("audio/", "video/")) else "application/octet-stream"


def song_name(path: Path) -> str:
    """What a song is called, by its file: without folder and extension."""
    return path.stem.encode(errors="replace").decode()[:MAX_NAME]
