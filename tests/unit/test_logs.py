"""Log lines."""

import io
import json
import sys

import pytest
import redis
from urllib3.exceptions import MaxRetryError, NewConnectionError

from medley import logs, settings
from medley.errors import Unavailable


def test_a_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written apart, another thread's line may come between."""
    written: list[str] = []

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Screen())
    logs.line("info", "queue", "said", song=7)
    (line,) = written
    assert line.endswith("}\n")
    assert json.loads(line) | {"time": 0} == {
        "time": 0,
        "level": "info",
        "function": "queue",
        "message": "said",
        "song": 7,
    }


def test_an_error_of_redis_says_what_it_came_from() -> None:
    error = Unavailable("Redis does not answer.")
    error.__cause__ = redis.ConnectionError("Error 111 connecting to redis:6379. Connection refused.")
    assert logs.why(error) == (
        "Unavailable: Redis does not answer. (ConnectionError: Error 111 connecting to redis:6379. Connection refused.)"
    )


def test_an_error_of_the_object_store_says_no_signature() -> None:
    refused = NewConnectionError(None, "Connection refused")  # type: ignore[arg-type]
    error = MaxRetryError(None, "/songs/a?X-Amz-Signature=0123", refused)  # type: ignore[arg-type]
    assert "X-Amz-Signature" in str(error)
    assert logs.why(error).endswith("Connection refused")
    assert "X-Amz-Signature" not in logs.why(error)


@pytest.mark.parametrize(("function", "sent"), [("queue", ["dev.medley.log.written.v1"]), ("logsink", []), ("", [])])
def test_the_log_sink_sends_nothing_to_itself(function: str, sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of its own would come back to it as an event, and be another line."""
    published: list[str] = []
    monkeypatch.setattr(logs, "publish", lambda event: published.append(json.loads(event)["type"]))
    monkeypatch.setattr(logs, "settings", lambda: settings.Settings(broker_url="http://broker"))
    monkeypatch.setattr(logs, "_function", function)
    logs.info("said")
    logs.flush(5)
    assert published == sent
