"""Who hears what."""

from medley import names
from tests.knative import manifests
from tests.knative.subscriber import Subscriber
from tests.knative.world import Lab, Mode, event

HEARD = {
    names.SONG_UPLOADED: {"separate"},
    names.SONG_SEPARATED: {"callback", "logsink"},
    names.SONG_FAILED: {"callback", "logsink"},
    names.CALLBACK_DUE: {"callback"},
    names.SONG_REMOVED: {"logsink"},
    names.LOG_WRITTEN: {"logsink"},
    names.PING: set(),
    "dev.medley.song.uploaded.v2": set(),  # of a later version
    "dev.medley.song.uploaded": set(),
    "unknown": set(),
}


def structured(lab: Lab) -> None:
    _exactly(lab, "structured")


def binary(lab: Lab) -> None:
    _exactly(lab, "binary")


def _exactly(lab: Lab, mode: Mode) -> None:
    """Each Trigger of knative/base lets through exactly its types."""
    functions = {name: Subscriber() for name in ("separate", "callback", "logsink")}
    with lab.broker(manifests.base("PT0.05S"), **functions):
        for event_type in HEARD:
            assert lab.send(event(event_type, id=event_type), mode) == 202
        lab.calm()
    for name, function in functions.items():
        heard = sorted(delivery.event["type"] for delivery in function.got)
        assert heard == sorted(event_type for event_type, by in HEARD.items() if name in by), name


def whole(lab: Lab) -> None:
    """Attributes, extensions and data arrive as they were sent, in binary mode, whichever mode they came in."""
    function = Subscriber()
    sent = event(id="7", traceparent="00-1", number=5, yes=True, time="2026-11-25T10:00:00Z")
    sent["data"] = {"text": "ä", "list": [1, None]}
    with lab.broker(manifests.lab(manifests.trigger("function", path="/in")), function=function):
        assert lab.send(sent | {"subject": "a söng"}) == 202
        assert lab.send(sent | {"yes": "true", "id": "8", "subject": "a%20s%C3%B6ng"}, "binary") == 202
        lab.eventually(function, 2)
    for delivery in function.got:
        assert delivery.path == "/in"
        assert delivery.json == sent["data"]
        assert delivery.headers["content-type"] == "application/json"
        same = ("specversion", "type", "source", "time", "traceparent", "number", "yes")
        assert {name: delivery.event[name] for name in same} == {
            "specversion": "1.0", "type": "dev.medley.test", "source": "/tests", "time": "2026-11-25T10:00:00Z",
            "traceparent": "00-1", "number": "5", "yes": "true",
        }  # fmt: skip
        assert "knativebrokerttl" not in delivery.event
    subjects = {delivery.event["id"]: delivery.event["subject"] for delivery in function.got}
    assert subjects == {
        "7": "a söng".encode().decode("latin-1"),
        "8": "a%20s%C3%B6ng",
    }  # nothing is percent-encoded or decoded
