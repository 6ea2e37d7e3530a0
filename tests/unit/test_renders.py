"""Files are rendered side by side, to their very end."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from functions.separate import renders
from functions.separate.renders import AHEAD, Render, Values, end_all
from medley.errors import Unavailable
from medley.names import Upload
from medley.output import Output

UPLOAD = Upload("a" * 64, "b" * 32)
OUTPUTS = [Output("vocals", "wav"), Output("bass", "wav")]
LENGTH = 1000  # samples
LIMIT = 10.0  # s


class Stores:
    """Takes a file once as many others as there are have come to be stored."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self._all = threading.Barrier(len(OUTPUTS), timeout=LIMIT)

    def objects(self) -> Any:
        return self

    def jobs(self) -> Any:
        return self

    def put(self, name: str, file: BinaryIO, size: int, content_type: str) -> None:
        self._all.wait()
        self.kept[name] = file.read(size)

    def rendered(self, upload: Upload, file: str, size: int, sources: tuple[str, ...]) -> bool:
        return True


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    stores = Stores()
    monkeypatch.setattr(renders, "stores", stores)
    return stores


def test_no_file_waits_for_another_to_be_stored(stores: Stores) -> None:
    them = [Render(UPLOAD, output, LENGTH) for output in OUTPUTS]
    for render in them:
        render.feed(np.zeros((2, LENGTH), np.int32))
    end_all(them, Render.end)
    assert [render.failure for render in them] == [None, None]
    assert {Path(name).name for name in stores.kept} == {"vocals.wav", "bass.wav"}
    assert {len(data) for data in stores.kept.values()} == {44 + 4 * LENGTH}


def test_no_file_waits_for_another_that_is_slow_to_encode(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = threading.Event()

    def encode(output: Output, blocks: Iterator[Values], length: int) -> Iterator[bytes]:
        if output == OUTPUTS[0]:
            assert quick.wait(LIMIT)
        yield from (block.tobytes() for block in blocks)
        quick.set()

    monkeypatch.setattr(renders, "encode", encode)
    them = [Render(UPLOAD, output, LENGTH) for output in OUTPUTS]
    for _ in range(AHEAD):
        them[0].feed(np.zeros((2, LENGTH), np.int32))
    end_all(them, Render.end)
    assert [render.failure for render in them] == [None, None]


def test_what_fails_is_let_go_of_at_once(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()

    def encode(output: Output, blocks: Iterator[Values], length: int) -> Iterator[bytes]:
        try:
            yield from (block.tobytes() for block in blocks)
        finally:
            closed.set()

    def full() -> Any:
        raise OSError(28, "No space left on device")

    class Full:
        write = staticmethod(lambda data: full())
        __enter__ = __exit__ = lambda self, *about: self if not about else None

    monkeypatch.setattr(renders, "encode", encode)
    monkeypatch.setattr(renders.tempfile, "TemporaryFile", Full)
    render = Render(UPLOAD, OUTPUTS[0], LENGTH)
    render.feed(np.zeros((2, LENGTH), np.int32))
    assert closed.wait(LIMIT)
    for _ in range(2 * AHEAD):  # and nobody waits for it
        render.feed(np.zeros((2, LENGTH), np.int32))
    end_all([render], Render.end)
    assert render.failure == "rendering failed: OSError"


def test_what_is_being_encoded_can_be_aborted(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(output: Output, blocks: Iterator[Values], length: int) -> Iterator[bytes]:
        while True:
            time.sleep(0.001)
            yield b""

    monkeypatch.setattr(renders, "encode", encode)
    end_all([Render(UPLOAD, output, LENGTH) for output in OUTPUTS], Render.abort)
    assert stores.kept == {}


def test_what_is_aborted_is_not_stored(stores: Stores) -> None:
    them = [Render(UPLOAD, output, LENGTH) for output in OUTPUTS]
    them[0].feed(np.zeros((2, LENGTH), np.int32))
    end_all(them, Render.abort)
    assert stores.kept == {}
    assert [render.failure for render in them] == [None, None]


def test_what_the_store_cannot_take_now_has_not_failed(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rendered from the stored parts later: a failure would be on record for ever."""

    def away(*about: object) -> None:
        raise Unavailable("The object store does not answer.")

    monkeypatch.setattr(stores, "put", away)
    render = Render(UPLOAD, OUTPUTS[0], LENGTH)
    render.feed(np.zeros((2, LENGTH), np.int32))
    end_all([render], Render.end)
    assert render.failure is None


def test_a_file_whose_stem_was_removed_meanwhile_is_taken_back(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[str] = []
    monkeypatch.setattr(stores, "put", lambda *about: None)
    monkeypatch.setattr(stores, "rendered", lambda *about: False)
    monkeypatch.setattr(stores, "remove", removed.extend, raising=False)
    render = Render(UPLOAD, OUTPUTS[0], LENGTH)
    render.feed(np.zeros((2, LENGTH), np.int32))
    end_all([render], Render.end)
    assert removed == [UPLOAD.rendered("vocals.wav")]
