"""One trace from the upload to the callback, whatever thread goes on with it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.separate import request
from functions.separate.request import Request
from medley import events

TRACE = f"00-{'1' * 32}-{'2' * 16}-01"


def test_a_thread_goes_on_with_the_trace() -> None:
    found: list[str] = []
    events.follow(TRACE)
    thread = threading.Thread(target=events.traced(lambda: found.append(events.traceparent.get())))
    events.follow("")
    thread.start()
    thread.join()
    assert found == [TRACE]


def test_clients_are_told_in_the_trace_of_their_song(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(request, "announce_recorded", lambda _: found.append(events.traceparent.get()))
    monkeypatch.setattr(request, "call", lambda callback: found.append((callback, events.traceparent.get())))
    with ThreadPoolExecutor() as aside:
        told = Request(aside)
        events.follow(TRACE)
        told.tell("event", ["c"])
        assert not told.is_telling(10)
    assert found == [TRACE, ("c", TRACE)]
