"""Files are rendered side by side, to their very end."""

import threading
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from functions.separate import renders
from functions.separate.renders import Render, ended
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
    ended(them, Render.end)
    assert [render.failure for render in them] == [None, None]
    assert {Path(name).name for name in stores.kept} == {"vocals.wav", "bass.wav"}
    assert {len(data) for data in stores.kept.values()} == {44 + 4 * LENGTH}


def test_what_is_aborted_is_not_stored(stores: Stores) -> None:
    them = [Render(UPLOAD, output, LENGTH) for output in OUTPUTS]
    them[0].feed(np.zeros((2, LENGTH), np.int32))
    ended(them, Render.abort)
    assert stores.kept == {}
    assert [render.failure for render in them] == [None, None]
