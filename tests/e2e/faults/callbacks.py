"""Clients whose own servers fail."""

import socket
from datetime import datetime
from typing import Any

from medley import names
from tests.e2e.faults.stage import Stage
from tests.e2e.faults.stores import SHORT
from tests.e2e.harness import eventually


def _until(stage: Stage, song: str, state: str) -> dict[str, Any]:
    """The song's callback once it is in a state, with an attempt on record."""

    def look() -> dict[str, Any] | None:
        found = stage.callback(song)
        return found if found["state"] == state and found["attempts"] else None

    return eventually(look)


def _statuses(callback: dict[str, Any]) -> list[int | None]:
    return [attempt["status"] for attempt in callback["attempts"]]


def down(stage: Stage) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        song = stage.post(SHORT, callback=f"http://127.0.0.1:{nobody.getsockname()[1]}/")
        found = _until(stage, song, "failed")
    assert len(found["attempts"]) == 6
    assert all("connection" in attempt["error"] for attempt in found["attempts"])
    assert stage.service.ended(song)["status"] == "succeeded"


def slow(stage: Stage) -> None:
    stage.called.delay = 3.0
    song = stage.post(SHORT, callback=stage.called.url)
    found = _until(stage, song, "due")
    stage.called.delay = 0.0
    assert found["attempts"][0]["error"] == "no answer within 2 s"
    assert _statuses(_until(stage, song, "delivered"))[-1] == 204


def answers_500(stage: Stage) -> None:
    """Given up visibly, and sent again by hand."""
    stage.called.statuses = [500]
    song = stage.post(SHORT, callback=stage.called.url)
    found = _until(stage, song, "failed")
    assert _statuses(found) == [500] * 6
    assert found["next_attempt"] is None
    stage.called.statuses = [204]
    stage.service.client.call_again(song, found["id"])
    assert _statuses(_until(stage, song, "delivered")) == [500] * 6 + [204]
    assert len({request["webhook-id"] for request in stage.called.requests}) == 1


def answers_410(stage: Stage) -> None:
    stage.called.statuses = [410]
    song = stage.post(SHORT, callback=stage.called.url)
    assert _statuses(_until(stage, song, "gone")) == [410]
    stage.settle()
    assert len(stage.called.bodies) == 1


def answers_301(stage: Stage) -> None:
    """A redirect is not followed: it may lead where no callback may go."""
    stage.called.statuses = [301, 204]
    stage.called.headers = {"Location": stage.called.url}
    song = stage.post(SHORT, callback=stage.called.url)
    assert _statuses(_until(stage, song, "delivered")) == [301, 204]
    assert len(stage.called.bodies) == 2


def answers_retry_after(stage: Stage) -> None:
    stage.called.statuses = [503, 204]
    stage.called.headers = {"Retry-After": "3600"}
    song = stage.post(SHORT, callback=stage.called.url)
    found = _until(stage, song, "due")
    wait = datetime.fromisoformat(found["next_attempt"]) - datetime.fromisoformat(found["attempts"][0]["at"])
    assert wait.total_seconds() >= 3600
    stage.settle()
    assert _statuses(stage.callback(song)) == [503]
    stage.service.client.call_again(song, found["id"])
    assert _statuses(_until(stage, song, "delivered")) == [503, 204]


def forgotten(stage: Stage) -> None:
    """Two days after it was settled nothing is known of it any more; then the song's record does not name it either."""
    song = stage.post(SHORT, callback=stage.called.url)
    stage.succeeded(song)
    eventually(lambda: stage.callback(song)["state"] == "delivered")
    (key,) = (field for field in stage.service.record(song) if field.startswith(names.CALLBACK))
    stage.service.redis.delete(key)
    stage.sweep()
    assert key not in stage.service.record(song)
    assert len(stage.called.bodies) == 1
