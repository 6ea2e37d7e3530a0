"""Parts are stored many at a time, and recorded in their order."""

import threading
from typing import Any

import numpy as np
import pytest

from functions.separate import writer
from functions.separate.writer import Stems, Writer
from medley.names import Upload
from medley.parts import SCALE, decode

UPLOAD = Upload("a" * 64, "b" * 32)
LIMIT = 10.0  # s


class Store:
    """Keeps what is put into it; `before` is called with each name first."""

    def __init__(self, before: Any = lambda name: None) -> None:
        self.kept: dict[str, bytes] = {}
        self.before = before

    def put(self, name: str, data: bytes, content_type: str) -> None:
        self.before(name)
        self.kept[name] = data


def part(number: int) -> Stems:
    return {stem: np.full((2, 100), value + 4 * number, np.int32) for value, stem in enumerate(("drums", "bass"))}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr(writer.stores, "objects", lambda: store)
    return store


@pytest.mark.parametrize(("device", "last"), [("cpu", ("bass", 0)), ("cuda", ("bass", 1))])
def test_parts_are_recorded_in_order_whichever_is_stored_first(
    store: Store, monkeypatch: pytest.MonkeyPatch, device: str, last: tuple[str, int]
) -> None:
    monkeypatch.setattr(writer, "processors", lambda: 2)
    second = threading.Event()

    def before(name: str) -> None:
        if name == UPLOAD.part("r", "drums", 0):
            assert second.wait(LIMIT)
        if name == UPLOAD.part("r", *last):
            second.set()

    store.before, stored = before, []
    with Writer(UPLOAD, "r", ("drums", "bass"), device, lambda *about: stored.append(about)) as parts:
        for number in range(2):
            parts.put(number, part(number))
    assert [number for number, *_ in stored] == [0, 1]
    for number in range(2):
        for stem, values in part(number).items():
            assert np.array_equal(decode(store.kept[UPLOAD.part("r", stem, number)]), values)


def test_with_a_gpu_more_are_stored_at_a_time_than_there_are_stems(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "processors", lambda: 4)
    together = threading.Barrier(4, timeout=LIMIT)
    store.before = lambda name: together.wait()
    with Writer(UPLOAD, "r", ("drums", "bass"), "cuda", lambda *about: None) as parts:
        for number in range(2):
            parts.put(number, part(number))
    assert len(store.kept) == 4


def test_clipped_samples_are_told_of_each_stem(store: Store) -> None:
    values = np.zeros((2, 100), np.int32)
    values[0, :3] = 2 * SCALE - 1
    told: list[dict[str, int]] = []
    with Writer(UPLOAD, "r", ("drums", "bass"), "cpu", lambda *about: told.append(about[3])) as parts:
        parts.put(0, {"drums": np.zeros_like(values), "bass": values})
    assert told == [{"drums": 0, "bass": 3}]


def test_what_fails_is_raised_and_nothing_is_recorded_from_there_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "processors", lambda: 2)

    def before(name: str) -> None:
        if name == UPLOAD.part("r", "bass", 1):
            raise ZeroDivisionError

    store.before, stored = before, []

    def write() -> None:
        with Writer(UPLOAD, "r", ("drums", "bass"), "cuda", lambda number, *_: stored.append(number)) as parts:
            for number in range(50):
                parts.put(number, part(number))

    with pytest.raises(ZeroDivisionError):
        write()
    assert stored == [0]
    assert len(store.kept) <= 20
