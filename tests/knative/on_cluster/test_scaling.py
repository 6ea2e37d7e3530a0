"""Every function starts from nothing when it is asked, and is gone again when it is not."""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from medley import names
from tests.knative.on_cluster.deployed import Deployed, asleep, inside, is_outside, outside, pods, request, resolved
from tests.knative.on_cluster.kubectl import NAMESPACE

WARM = 20  # calls

pytestmark = pytest.mark.timeout(900)


def door(function: str) -> Callable[[], tuple[int, bytes]]:
    """How its clients ask it."""
    if is_outside(function):
        return partial(outside, function)
    resolved(f"{function}.{NAMESPACE}.svc.cluster.local")  # here, and not while the clock runs
    return partial(inside, function)


def timed(ask: Callable[[], tuple[int, bytes]]) -> tuple[float, int, bytes]:
    """Seconds until the client has the answer, and that answer."""
    begin = time.monotonic()
    status, body = ask()
    return time.monotonic() - begin, status, body


@pytest.fixture(scope="module")
def started(report: Callable[[str, Any], None]) -> dict[str, tuple[int, bytes]]:
    """What each function answered to the first request after its last pod was gone."""
    answers, table = {}, {}
    for function in names.FUNCTIONS:
        ask = door(function)
        asleep(function)
        cold, status, body = timed(ask)
        warm = statistics.median(timed(ask)[0] for _ in range(WARM))
        answers[function] = (status, body)
        table[function] = {"cold_s": round(cold, 2), "warm_ms": round(1000 * warm, 1)}
    report("cold_starts", table)
    return answers


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_it_starts_from_zero(started: dict[str, tuple[int, bytes]], function: str) -> None:
    status, body = started[function]
    assert (status, json.loads(body)) == (200, {"function": function})


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_it_goes_back_to_zero(started: dict[str, tuple[int, bytes]], function: str) -> None:
    assert started[function]
    asleep(function)


def test_health_of_the_gateway_wakes_nobody(medley: Deployed) -> None:
    for function in names.FUNCTIONS:
        asleep(function)
    status, _ = request(medley.url)
    assert status == 200
    by_ping = {"sweep", "logsink"}
    assert {name for name in names.FUNCTIONS if pods(name)} <= by_ping
