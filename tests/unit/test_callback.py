"""Callbacks: what may be asked for, the signature, and when to try again."""

import time
from typing import Any

import pytest

from medley.callback import Attempt, Callback, check_callback, next_attempt, sign
from medley.errors import BadOption

SCHEDULE = (5.0, 300.0)


@pytest.mark.parametrize(
    "asked",
    [
        "http://example.com",
        {},
        {"url": 5},
        {"url": "ftp://example.com"},
        {"url": "http://"},
        {"url": "http://exa mple.com"},
        {"url": "http://example.com/\r\nX: 1"},
        {"url": "http://[::1"},
        {"url": "http://example.com:99999"},
        {"url": "javascript:alert(1)"},
        {"url": "http://example.com/caf\u00e9"},
        {"url": "http://example.com/?q=\u00e9"},
        {"url": "http://b\u00fccher.example/"},
        {"url": "http://example.com/\x7f"},
        {"url": "http://example.com/" + "x" * 3000},
        {"url": "http://example.com", "data": "x" * 70_000},
    ],
)
def test_what_cannot_be_called_is_refused_at_once(asked: Any) -> None:
    with pytest.raises(BadOption):
        check_callback(asked)


def test_data_may_be_anything_even_null() -> None:
    assert check_callback({"url": "http://localhost:5000"}) == ("http://localhost:5000", None, False)
    assert check_callback({"url": "http://localhost:5000", "data": None}) == ("http://localhost:5000", None, True)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification's own libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signed = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def failed(times: int, since: float) -> Callback:
    return Callback("c", "http://x", since=since, attempts=tuple(Attempt(since + 1, 0.1, 500) for _ in range(times)))


def test_attempts_follow_the_schedule_from_when_it_was_due() -> None:
    since = time.time() + 1000
    first, second = (next_attempt(failed(made, since), SCHEDULE, None) for made in (0, 1))
    assert first is not None
    assert second is not None
    assert since + 5 <= first <= since + 5.5
    assert since + 300 <= second <= since + 330
    assert next_attempt(failed(2, since), SCHEDULE, None) is None


def test_after_an_outage_of_ours_the_schedule_is_not_over_at_once() -> None:
    now, schedule = time.time(), (5.0, 300.0, 86_400.0)
    again = next_attempt(failed(2, now - 100_000), schedule, None)
    assert again is not None
    assert again - now > 40_000


def test_retry_after_is_honoured_for_a_day() -> None:
    now = time.time()
    later, too_late = (next_attempt(failed(0, now), SCHEDULE, asked) for asked in (1000, 200_000))
    assert later is not None
    assert too_late is not None
    assert now + 990 < later < now + 1100
    assert too_late == now + 86_400


def test_attempts_before_it_was_sent_again_do_not_count() -> None:
    old = Callback("c", "http://x", since=time.time(), attempts=(Attempt(1.0, 0.1, 500), Attempt(2.0, 0.1, 500)))
    assert next_attempt(old, SCHEDULE, None) is not None
