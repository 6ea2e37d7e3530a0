"""Events that come by PingSource's clock, by hand, or never came."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from medley import names
from tests import sounds
from tests.e2e.harness import eventually
from tests.knative.on_cluster.deployed import Deployed, address, asleep, pods
from tests.knative.on_cluster.kubectl import NAMESPACE, Document, get, kubectl
from tests.knative.world import MODES, Mode, encoded, event, post
from tests.manifests.rendering import ROOT

PING = 60 + 60  # s: to the next minute, and another one for what it wakes

pytestmark = pytest.mark.timeout(600)


def send(sent: Document, mode: Mode = "structured") -> int:
    """Posts an event to medley's Broker; the status of its answer."""
    return post(f"http://{address('broker-ingress', 'knative-eventing')}/{NAMESPACE}/default", *encoded(sent, mode))


@contextmanager
def without_trigger(name: str) -> Iterator[None]:
    """Nobody hears this Trigger's events inside the block."""
    trigger = get("trigger", name)
    kept = {key: trigger["metadata"][key] for key in ("name", "namespace")}
    kubectl("delete", "trigger", name)
    try:
        yield
    finally:
        given = json.dumps({**trigger, "metadata": kept, "status": {}})
        kubectl("apply", "-f", "-", given=given)
        kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"trigger/{name}")


@contextmanager
def every_minute() -> Iterator[None]:
    """The ping comes more often inside the block."""
    usual = get("pingsource", "sweep")["spec"]["schedule"]

    def schedule(value: str) -> None:
        kubectl("patch", "pingsource", "sweep", "--type=merge", "-p", json.dumps({"spec": {"schedule": value}}))

    schedule("* * * * *")
    try:
        yield
    finally:
        schedule(usual)


def test_a_song_that_nobody_heard_of_is_announced_by_the_next_ping(medley: Deployed) -> None:
    asleep("sweep")
    asleep("separate")
    with without_trigger("separate"):
        song = medley.client.separate(io.BytesIO(sounds.song("mp3", 2.1))).hash
        assert medley.record(song)["status"] == "queued"
    with every_minute():
        assert medley.ended(song, PING)["status"] == "succeeded"


@pytest.mark.parametrize("mode", MODES)
def test_an_event_sent_by_hand_wakes_its_function(mode: Mode) -> None:
    example = json.loads((ROOT / "contract" / "examples" / f"{names.SONG_UPLOADED}.json").read_text())
    asleep("separate")
    assert send(example, mode) == 202
    eventually(lambda: pods("separate"), 30)
    asleep("separate")  # no song is there: it is done at once


def test_an_event_of_an_unknown_type_wakes_nobody() -> None:
    asleep("separate")
    asleep("callback")
    assert send(event("dev.medley.song.uploaded.v2")) == 202
    eventually(lambda: not pods("logsink"), 120)
    assert not pods("separate")
    assert not pods("callback")


def test_what_is_no_event_is_refused_by_the_broker() -> None:
    broker = f"http://{address('broker-ingress', 'knative-eventing')}/{NAMESPACE}/default"
    assert post(broker, b"{}", {"Content-Type": "application/json"}) == 400
    assert post(broker, b"{", {"Content-Type": "application/cloudevents+json"}) == 400


@pytest.mark.parametrize("data", [{"hash": "none"}, {}, {"hash": "0" * 64, "pad": "x" * 1_000_000}])
def test_a_bad_event_is_a_dead_letter_or_nothing(medley: Deployed, data: dict[str, str]) -> None:
    """Never a storm of retries: `separate` refuses it once, or finds no song."""
    sent = event(names.SONG_UPLOADED, subject=data.get("hash", "none"), data=data)
    before = len(dead(medley))
    assert send(sent) == 202
    asleep("separate")
    expected = 0 if len(data.get("hash", "")) == 64 else 1
    assert eventually(lambda: len(dead(medley)) >= before + expected or None, 60)
    assert len(dead(medley)) == before + expected


def dead(medley: Deployed) -> list[str]:
    """The lines about dead letters."""
    return [line for line in medley.redis.lrange("logging", 0, -1) if ".logsink.error:dead letter" in line]
