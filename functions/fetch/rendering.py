"""Rendering on demand: once for many askers, into their answers and into the store at the same time."""

import os
import tempfile
import threading
from collections.abc import Iterator
from typing import BinaryIO, cast

from medley import events, logs, stores
from medley.errors import Crash, MedleyError, Unavailable
from medley.names import Upload
from medley.output import Output
from medley.song import Done

PIECE = 1 << 18  # bytes
MOST = 8  # renderings at a time: they go on when their askers have gone

_running: dict[str, "Rendering"] = {}
_lock = threading.Lock()


def rendering(upload: Upload, done: Done, output: Output) -> "Rendering":
    """The rendering of a file that is going on in this process, or a new one."""
    name = upload.rendered(output.file)
    with _lock:
        if name not in _running and len(_running) >= MOST:
            raise Unavailable("Too many files are being rendered; try again soon.", retry_after=5)
        if name not in _running:
            _running[name] = Rendering(name, upload, done, output)
        return _running[name]


class Rendering:
    """A file that grows on disk while its askers read it. It is finished and stored even if they all leave.

    It has no name there: whatever ends this process, nothing of it stays.
    """

    def __init__(self, name: str, upload: Upload, done: Done, output: Output) -> None:
        self._name = name
        self._upload = upload
        self._done = done
        self._output = output
        self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115
        self._size = 0
        self._whole = False
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=events.traced(self._run), name=f"render-{output.file}", daemon=True)
        self._thread.start()

    def pieces(self) -> Iterator[bytes]:
        """The file from its start, as it grows. Raises MedleyError where it breaks off: the answer is cut there."""
        at = 0
        while piece := self._piece(at):
            at += len(piece)
            yield piece

    def _piece(self, at: int) -> bytes:
        """What there is from byte `at` on, once there is something; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._size > at or self._ended)
            if self._failure:
                raise _told(self._failure)
        return os.pread(self._file.fileno(), PIECE, at)

    def wait(self) -> None:
        """Until it is in the store, or has failed."""
        self._thread.join()

    @property
    def _ended(self) -> bool:
        return self._whole or self._failure is not None

    def _run(self) -> None:
        try:
            from medley.delivery import render  # loads av and numpy: later, or a process is ready half as soon

            for piece in render(self._upload, self._done, self._output):
                self._file.write(piece)
                self._file.flush()
                self._tell(size=self._size + len(piece))
            self._tell(size=self._size, whole=True)
            self._store()
        except Exception as error:
            logs.error("render failed", hash=self._upload.song, file=self._output.file, error=logs.why(error))
            self._tell(size=self._size, whole=self._whole, failure=None if self._whole else error)
        finally:
            with _lock:
                del _running[self._name]

    def _tell(self, size: int, *, whole: bool = False, failure: Exception | None = None) -> None:
        with self._changed:
            self._size, self._whole = size, whole
            self._failure = failure
            self._changed.notify_all()

    def _store(self) -> None:
        """Takes the file back if one of its stems was removed meanwhile."""
        self._file.seek(0)
        stores.objects().put(self._name, self._file, self._size, self._output.content_type)
        stems = self._output.sources(self._done.stems)
        if not stores.jobs().rendered(self._upload, self._output.file, self._size, stems):
            stores.objects().remove([self._name])
        logs.info("file rendered", hash=self._upload.song, file=self._output.file, bytes=self._size)


def _told(failure: Exception) -> MedleyError:
    """What went wrong, for those who wait for the file."""
    if isinstance(failure, MedleyError):
        return failure
    return Crash("The file could not be rendered; this is our fault, and the log says more.")
