"""Readiness, as Knative's queue-proxy asks for it."""

import threading

import pytest

from medley.errors import Unavailable
from medley.http import ReadyOnce


def test_a_store_that_hangs_holds_one_request_and_no_more() -> None:
    asked, answer = threading.Event(), threading.Event()

    def look() -> None:
        asked.set()
        assert answer.wait(10)

    ready = ReadyOnce(look)
    first = threading.Thread(target=ready.check)
    first.start()
    assert asked.wait(10)
    for _ in range(20):
        with pytest.raises(Unavailable):
            ready.check()  # and not wait
    answer.set()
    first.join(10)
    ready.check()


def test_it_looks_again_after_a_failure_and_never_after_a_success() -> None:
    answers = iter([Unavailable("Redis is away."), None])

    def look() -> None:
        if error := next(answers):
            raise error

    ready = ReadyOnce(look)
    with pytest.raises(Unavailable, match="Redis"):
        ready.check()
    ready.check()
    ready.check()
