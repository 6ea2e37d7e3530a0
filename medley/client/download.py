"""Audio on its way to disk: streamed, taken up again where it was cut, and in place only when it is whole."""

import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from urllib3 import BaseHTTPResponse

from medley.client.errors import ClientError, MedleyProblem, Unreachable
from medley.client.folders import free_name, safe_name
from medley.client.transport import Transport
from medley.client.upload import Progress

PIECE = 256 * 1024  # bytes
CUTS = 5  # in a row, without a byte more, after which a download is given up
PAUSE = 0.25  # s before going on, three times as long with each cut in a row: a service that restarts takes seconds


class Download:
    """One file from the service, into a file of ours."""

    def __init__(self, transport: Transport, path: str, query: Mapping[str, str], progress: Progress | None) -> None:
        self._transport = transport
        self._path = path
        self._query = query
        self._progress = progress
        self._etag = ""
        self._got = 0  # bytes
        self.name = ""  # that the service gives the file

    def run(self, file: BinaryIO) -> int:
        """Returns the bytes of the whole file. Raises MedleyProblem, and Unreachable when it is cut too often."""
        start, cuts = file.tell() if file.seekable() else 0, 0
        while True:
            before = self._got
            try:
                self._receive(file, start)
                return self._got
            except Unreachable:
                cuts = cuts + 1 if self._got <= before else 1
                if cuts >= CUTS or not (before or self._got):
                    raise
                time.sleep(PAUSE * 3 ** (cuts - 1))

    def _receive(self, file: BinaryIO, start: int) -> None:
        """Goes on after the last byte, or begins anew when the file is not the same any more."""
        answer = self._open()
        try:
            self._place(answer, file, start)
            total = self._total(answer)
            for piece in self._pieces(answer):
                file.write(piece)
                self._got += len(piece)
                if self._progress:
                    self._progress(self._got, total)
        finally:
            answer.close()
        if total is not None and self._got != total:
            raise Unreachable(self._transport.url, f"sent {self._got} of {total} bytes.")

    def _open(self) -> BaseHTTPResponse:
        # Without a strong ETag nothing tells whether the rest would be the rest of the same file.
        if self._got and self._etag.startswith('"'):
            headers = {"Range": f"bytes={self._got}-", "If-Range": self._etag}
            with suppress(MedleyProblem):
                return self._transport.open("GET", self._path, query=self._query, headers=headers)
        return self._transport.open("GET", self._path, query=self._query)

    def _place(self, answer: BaseHTTPResponse, file: BinaryIO, start: int) -> None:
        """Puts the file where the answer's bytes belong."""
        match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if answer.status == 206:
            if match is None or int(match[1]) != self._got:
                self._etag = ""  # so that the whole is asked for next
                raise Unreachable(self._transport.url, "answered another range than was asked for.")
        elif self._got:
            if not file.seekable():
                raise ClientError("The download was cut, and what it goes to cannot be rewound to begin anew.")
            file.seek(start)
            file.truncate()
            self._got = 0
        self._etag = answer.headers.get("ETag", "")
        self.name = _file_name(answer) or self.name

    def _total(self, answer: BaseHTTPResponse) -> int | None:
        length = answer.headers.get("Content-Length", "")
        return self._got + int(length) if length.isdecimal() else None

    def _pieces(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        with self._transport.reading():
            yield from answer.stream(PIECE, decode_content=False)


def save(download: Download, to: Path, name: str) -> tuple[Path, int]:
    """Downloads to a path, or into a folder under the name that the service gives, else `name`.

    Returns where it is and its bytes. A file in a folder never replaces another one; a path given does.
    """
    if to.exists() and not to.is_dir() and not to.is_file():  # a device or a pipe is written to, never replaced
        with to.open("wb") as stream:
            return to, download.run(stream)
    if to.is_symlink() and not to.is_dir():
        return save(download, to.resolve(), name)
    folder = to if to.is_dir() else to.parent
    folder.mkdir(parents=True, exist_ok=True)
    with _temporary(folder) as part:
        with part.open("xb") as file:
            size = download.run(file)
        target = free_name(folder, safe_name(download.name or name)) if to.is_dir() else to
        os.replace(part, target)
    return target, size


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A name for a file that is gone afterwards; beside its target, so that renaming it is one step."""
    part = folder / f".medley-{secrets.token_hex(8)}.part"
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _file_name(answer: BaseHTTPResponse) -> str:
    """The name in `Content-Disposition`, also as RFC 5987 writes it."""
    disposition = answer.headers.get("Content-Disposition", "")
    if extended := re.search(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", disposition, re.IGNORECASE):
        return unquote(extended[1])
    message = Message()
    message["Content-Disposition"] = disposition
    return message.get_filename("")
