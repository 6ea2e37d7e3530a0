"""A store that is away for a moment costs no song its attempt, and keeps no pod from ending."""

import threading

import pytest

from functions.separate import patience
from functions.separate.patience import patiently
from medley.errors import Unavailable


class Store:
    """Answers from the third time on."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self) -> str:
        self.asked += 1
        if self.asked < 3:
            raise Unavailable("It does not answer.")
        return "it"


def test_a_store_that_is_back_in_a_moment_is_waited_for() -> None:
    assert patiently(Store().answer) == "it"


def test_a_process_that_is_to_end_waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    draining = threading.Event()
    draining.set()
    monkeypatch.setattr(patience, "draining", draining)
    store = Store()
    with pytest.raises(Unavailable):
        patiently(store.answer)
    assert store.asked == 1
