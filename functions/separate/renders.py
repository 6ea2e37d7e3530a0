"""Rendering the files that were asked for while the song is still being separated: one thread a file."""

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from medley import events, logs, stores
from medley.errors import MedleyError, Unavailable
from medley.names import Upload
from medley.output import Output
from medley.render import encode

Values = NDArray[np.int32]
AHEAD = 4  # parts that may wait to be encoded before the network waits


class Aborted(Exception):
    """The song is not going to be whole in this attempt."""


class Render:
    """One file, fed with the parts of its stem in order."""

    def __init__(self, upload: Upload, output: Output, length: int) -> None:
        self.upload = upload
        self.output = output
        self.length = length
        self.failure: str | None = None
        self._parts: queue.SimpleQueue[Values | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(AHEAD)
        self._aborted = False
        self._fed = False  # to the end
        self._thread = threading.Thread(target=events.traced(self._run), name=f"render-{output.file}", daemon=True)
        self._thread.start()

    def feed(self, values: Values) -> None:
        """Takes the next part, (2, samples); waits while others do."""
        self._room.acquire()
        self._parts.put(values)

    def end(self) -> None:
        """After the last part."""
        self._parts.put(None)

    def abort(self) -> None:
        """Stores nothing."""
        self._aborted = True
        self.end()

    def wait(self) -> None:
        """Until the file is stored, or has failed."""
        self._thread.join()

    def _run(self) -> None:
        if not self._stored():
            self._drop()

    def _stored(self) -> bool:
        """Whether it is, or nobody wants it any more."""
        try:
            store(self.upload, self.output, self._pieces())
        except Aborted:
            pass
        except Unavailable:
            return False  # nothing is wrong with the file: it is rendered from the stored parts later
        except Exception as error:
            self.failure = told(error)
            logs.error("render failed", hash=self.upload.song, file=self.output.file, error=logs.why(error))
            return False
        return True

    def _pieces(self) -> Iterator[bytes]:
        for piece in encode(self.output, self._blocks(), self.length):
            if self._aborted:
                raise Aborted
            yield piece

    def _blocks(self) -> Iterator[Values]:
        while (values := self._take()) is not None:
            yield values
        if self._aborted:
            raise Aborted

    def _drop(self) -> None:
        """Takes the rest: whoever feeds this is not to wait for a thread that has ended."""
        while not self._fed:
            self._take()

    def _take(self) -> Values | None:
        values = self._parts.get()
        self._fed = values is None
        self._room.release()
        return values


def end_all(renders: Sequence[Render], by: Callable[[Render], None]) -> None:
    """Ends them all, each by what is given, then waits: what is left to be done they do side by side."""
    for render in renders:
        by(render)
    for render in renders:
        render.wait()


def store(upload: Upload, output: Output, pieces: Iterator[bytes]) -> None:
    """Renders into a file on disk, then into the store, then on the record; takes it back if the stem has gone."""
    with tempfile.TemporaryFile() as file:
        for piece in pieces:
            file.write(piece)
        size = file.tell()
        file.seek(0)
        stores.objects().put(upload.rendered(output.file), file, size, output.content_type)
    if not stores.jobs().rendered(upload, output.file, size, output.sources((output.stem,))):
        stores.objects().remove([upload.rendered(output.file)])


def told(error: Exception) -> str:
    """A failed render's reason, for the record."""
    return error.detail if isinstance(error, MedleyError) else f"rendering failed: {type(error).__name__}"
