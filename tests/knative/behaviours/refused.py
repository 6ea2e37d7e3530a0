"""What is no event, and gets no further than the Broker's door."""

import json
from typing import Any

from tests.knative import manifests
from tests.knative.subscriber import Subscriber
from tests.knative.world import Lab, event, post

MEGABYTE = 1 << 20
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def _with(**attributes: Any) -> bytes:
    return json.dumps(event(**attributes)).encode()


def _without(name: str) -> bytes:
    return json.dumps({key: value for key, value in event().items() if key != name}).encode()


MESSAGES: dict[str, tuple[bytes, dict[str, str]]] = {
    "JSON that does not say it is an event": (_with(), {"Content-Type": "application/json"}),
    "no JSON": (b"no JSON", STRUCTURED),
    "a list": (b"[]", STRUCTURED),
    "nothing": (b"", STRUCTURED),
    "no head and no body": (b"", {}),
    "no id": (_without("id"), STRUCTURED),
    "an empty id": (_with(id=""), STRUCTURED),
    "no source": (_without("source"), STRUCTURED),
    "no type": (_without("type"), STRUCTURED),
    "no version": (_without("specversion"), STRUCTURED),
    "a later version": (_with(specversion="2.0"), STRUCTURED),
    "an attribute that is an object": (_with(nested={"a": 1}), STRUCTURED),
    "a time that is none": (_with(time="yesterday"), STRUCTURED),
    "data that is no base64": (_with(data_base64="*"), STRUCTURED),
    "binary without an id": (b"", {"ce-specversion": "1.0", "ce-type": "asked", "ce-source": "/s"}),
    "binary of a later version": (
        b"", {"ce-specversion": "2.0", "ce-type": "asked", "ce-source": "/s", "ce-id": "1"},
    ),
}  # fmt: skip


def no_event(lab: Lab) -> None:
    function = Subscriber()
    with lab.broker(manifests.lab(manifests.trigger("function")), function=function):
        answers = {name: post(lab.url, *message) for name, message in MESSAGES.items()}
        lab.calm()
    assert answers == dict.fromkeys(MESSAGES, 400)
    assert function.got == []


def line_break(lab: Lab) -> None:
    """An attribute that cannot stand in a header: Knative's Broker calls it a fault of its own."""
    function = Subscriber()
    with lab.broker(manifests.lab(manifests.trigger("function")), function=function):
        assert lab.send(event(subject="a\nb")) in (400, 500)
        lab.calm()
    assert function.got == []


def another_broker(lab: Lab) -> None:
    with lab.broker(manifests.lab(manifests.trigger("function")), function=Subscriber()):
        assert post(lab.url + "2", _with(), STRUCTURED) == 404
        assert post(lab.url + "/", _with(), STRUCTURED) == 202


def a_megabyte(lab: Lab) -> None:
    """An event is as large as it is; that ours are small is our own rule."""
    function = Subscriber()
    with lab.broker(manifests.lab(manifests.trigger("function")), function=function):
        assert lab.send(event(data={"text": "x" * MEGABYTE})) == 202
        assert lab.send(event(data={"text": "x" * MEGABYTE}), "binary") == 202
        lab.eventually(function, 2)
    assert {len(delivery.json["text"]) for delivery in function.got} == {MEGABYTE}


def no_function(lab: Lab) -> None:
    """A Trigger whose function does not exist holds up nobody, and nothing comes of it."""
    function, letters = Subscriber(), Subscriber()
    triggers = (manifests.trigger("missing", letters="letters"), manifests.trigger("function"))
    with lab.broker(manifests.lab(*triggers), function=function, letters=letters):
        assert lab.send(event()) == 202
        lab.eventually(function, 1)
    assert letters.got == []
