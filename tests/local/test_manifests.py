"""Manifests as `medley up` reads them, and the filters in them."""

from pathlib import Path
from typing import Any

import pytest

from medley import names
from medley.local import clock
from medley.local.filters import BadManifest, parse
from medley.local.manifests import Delivery, Manifests, Ping, Sink, load, read, seconds

BASE = Path(__file__).resolve().parents[2] / "knative" / "base"
EVENT = {"type": "a.b.c", "source": "/s", "id": "1", "subject": "x"}


@pytest.fixture(scope="module")
def base() -> Manifests:
    return load(BASE)


def test_base_has_every_function_and_no_other(base: Manifests) -> None:
    assert set(base.services) == set(names.FUNCTIONS)


def test_only_what_clients_call_is_reachable_from_outside(base: Manifests) -> None:
    assert {name for name, service in base.services.items() if not service.local} == set(names.ROUTES.values())


@pytest.mark.parametrize(
    ("event", "functions"),
    [
        (names.SONG_UPLOADED, {"separate"}),
        (names.SONG_SEPARATED, {"callback", "logsink"}),
        (names.SONG_FAILED, {"callback", "logsink"}),
        (names.SONG_REMOVED, {"logsink"}),
        (names.CALLBACK_DUE, {"callback"}),
        (names.LOG_WRITTEN, {"logsink"}),
        (names.PING, set()),
    ],
)
def test_each_event_goes_to_its_functions_once(base: Manifests, event: str, functions: set[str]) -> None:
    attributes = {**EVENT, "type": event}
    reached = [trigger.subscriber.service for trigger in base.triggers if trigger.matches(attributes)]
    assert sorted(reached) == sorted(functions)


def test_every_trigger_says_all_of_its_delivery(base: Manifests) -> None:
    for trigger in base.triggers:
        delivery = trigger.delivery
        assert delivery.retry > 0
        assert delivery.delay > 0
        assert delivery.timeout > base.services[trigger.subscriber.service].timeout - 1
        assert delivery.dead_letter == Sink("logsink")


def test_separate_takes_one_song_for_as_long_as_knative_allows(base: Manifests) -> None:
    separate = base.services["separate"]
    assert (separate.concurrency, separate.timeout, separate.max_scale) == (1, 600.0, 1)


def test_the_ping_wakes_sweep_every_five_minutes(base: Manifests) -> None:
    (ping,) = base.pings
    assert ping.sink.service == "sweep"
    assert clock.minutes(ping) == frozenset(range(0, 60, 5))


@pytest.mark.parametrize(
    ("specification", "matches"),
    [
        ({"exact": {"type": "a.b.c"}}, True),
        ({"exact": {"type": "a.b"}}, False),
        ({"exact": {"type": "a.b.c", "source": "/t"}}, False),
        ({"exact": {"absent": "x"}}, False),
        ({"prefix": {"type": "a.b"}}, True),
        ({"prefix": {"type": "b"}}, False),
        ({"suffix": {"type": ".c"}}, True),
        ({"suffix": {"type": ".b"}}, False),
        ({"not": {"exact": {"type": "a.b.c"}}}, False),
        ({"not": {"exact": {"type": "x"}}}, True),
        ({"all": [{"prefix": {"type": "a"}}, {"suffix": {"type": "c"}}]}, True),
        ({"all": [{"prefix": {"type": "a"}}, {"suffix": {"type": "d"}}]}, False),
        ({"any": [{"exact": {"type": "x"}}, {"exact": {"id": "1"}}]}, True),
        ({"any": [{"exact": {"type": "x"}}, {"exact": {"id": "2"}}]}, False),
    ],
)
def test_filter(specification: dict[str, Any], matches: bool) -> None:
    assert parse(specification, "here")(EVENT) is matches


@pytest.mark.parametrize(
    ("specification", "named"),
    [
        ({"cesql": "type = 'a'"}, "'cesql'"),
        ({"any": [{"regex": {"type": "a"}}]}, "'regex'"),
        ({"exact": {"type": "a"}, "prefix": {"type": "a"}}, "exactly one dialect"),
        ({"exact": {}}, "attributes"),
        ({"any": []}, "list of filters"),
    ],
)
def test_a_filter_that_is_not_understood_is_refused_by_name(specification: dict[str, Any], named: str) -> None:
    with pytest.raises(BadManifest, match=named) as refused:
        parse(specification, "Trigger t")
    assert "Trigger t" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "length"), [("PT1S", 1.0), ("PT0.2S", 0.2), ("PT10M", 600.0), ("P1DT2H", 93600.0), ("PT1M30S", 90.0)]
)
def test_durations(text: str, length: float) -> None:
    assert seconds(text) == pytest.approx(length)


@pytest.mark.parametrize("text", ["", "P", "PT", "1S", "10", "P1Y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadManifest, match="duration"):
        seconds(text)


def test_back_off_grows_as_knative_computes_it() -> None:
    exponential, linear = Delivery(policy="exponential", delay=2.0), Delivery(policy="linear", delay=2.0)
    assert [exponential.wait(attempt) for attempt in range(4)] == [2.0, 4.0, 8.0, 16.0]
    assert [linear.wait(attempt) for attempt in range(4)] == [0.0, 2.0, 4.0, 6.0]


def service(name: str, **specification: Any) -> dict[str, Any]:
    containers = [{"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}]}]
    template = {"spec": {"containers": containers, **specification}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": template},
    }


def trigger(**specification: Any) -> dict[str, Any]:
    subscriber = {"ref": {"kind": "Service", "name": "f"}, "uri": "/path"}
    return {"kind": "Trigger", "metadata": {"name": "t"}, "spec": {"subscriber": subscriber, **specification}}


BROKER = {"kind": "Broker", "metadata": {"name": "default"}}
FALLBACK = {"retry": 7, "deadLetterSink": {"ref": {"kind": "Service", "name": "f"}}}


def test_static_environment_is_read_and_references_are_not() -> None:
    assert read([BROKER, service("f")]).services["f"].environment == {"A": "1"}


def test_a_triggers_delivery_replaces_the_brokers_but_for_the_dead_letter() -> None:
    broker = {**BROKER, "spec": {"delivery": FALLBACK}}
    manifests = read([broker, service("f"), trigger(), trigger(delivery={"backoffDelay": "PT1S"})])
    inherited, own = (one.delivery for one in manifests.triggers)
    assert inherited.retry == 7
    assert (own.retry, own.delay, own.dead_letter) == (0, 1.0, Sink("f"))


def test_the_old_filter_and_a_path_are_followed() -> None:
    (read_one,) = read([BROKER, service("f"), trigger(filter={"attributes": {"type": "x"}})]).triggers
    assert read_one.subscriber == Sink("f", "/path")
    assert (read_one.matches({"type": "x"}), read_one.matches({"type": "y"})) == (True, False)


def test_a_sink_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadManifest, match="no Service 'f'"):
        read([BROKER, trigger()])


def test_more_time_than_knative_allows_is_refused() -> None:
    with pytest.raises(BadManifest, match="601 is above 600"):
        read([BROKER, service("f", timeoutSeconds=601)])


@pytest.mark.parametrize(
    ("schedule", "due"),
    [("*/20 * * * *", {0, 20, 40}), ("5 * * * *", {5}), ("1,3-5 * * * *", {1, 3, 4, 5}), ("50/5 * * * *", {50, 55})],
)
def test_schedules(schedule: str, due: set[int]) -> None:
    assert clock.minutes(Ping("p", schedule, Sink("f"))) == due


@pytest.mark.parametrize("schedule", ["0 3 * * *", "61 * * * *", "x * * * *", "* * *", "*/0 * * * *"])
def test_a_schedule_that_cannot_be_followed_is_refused(schedule: str) -> None:
    with pytest.raises(BadManifest, match="PingSource p"):
        clock.minutes(Ping("p", schedule, Sink("f")))


def test_the_clock_waits_for_the_next_minute_that_is_due() -> None:
    assert clock.wait(frozenset({0, 30}), now=3600 + 29 * 60 + 15) == 45
    assert clock.wait(frozenset({0, 30}), now=3600 + 30 * 60) == 30 * 60
