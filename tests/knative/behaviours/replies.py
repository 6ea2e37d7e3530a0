"""What comes of an answer."""

import json

from tests.knative import manifests
from tests.knative.subscriber import Answer, Subscriber
from tests.knative.world import Lab, encoded, event

QUICK = {"retry": 3, "backoffPolicy": "exponential", "backoffDelay": "PT0.05S"}
ONE = manifests.trigger
HOPS = 255


def binary(lab: Lab) -> None:
    body, headers = encoded(event("told", id="2", data={"b": 2}), "binary")
    _goes_round_once(lab, Answer(200, body, headers))


def structured(lab: Lab) -> None:
    body, headers = encoded(event("told", id="2", data={"b": 2}), "structured")
    _goes_round_once(lab, Answer(200, body, headers))


def _goes_round_once(lab: Lab, reply: Answer) -> None:
    """An event in an answer goes to who hears its type, and stops there."""
    one, two = Subscriber(reply), Subscriber()
    with lab.broker(manifests.lab(ONE("one", "asked", **QUICK), ONE("two", "told", **QUICK)), one=one, two=two):
        lab.send(event("asked"))
        (told,) = lab.eventually(two, 1)
    assert len(one.got) == 1
    assert (told.event["id"], told.event["type"], told.json) == ("2", "told", {"b": 2})


def empty(lab: Lab) -> None:
    """Any empty 2xx is done: nothing comes of it, and the event is not sent again."""
    for status in (200, 202, 204):
        one, letters = Subscriber(status), Subscriber()
        with lab.broker(manifests.lab(ONE("one", "asked", letters="letters", **QUICK)), one=one, letters=letters):
            lab.send(event("asked"))
            lab.eventually(one, 1)
        assert letters.got == []


def no_event(lab: Lab) -> None:
    """A 2xx with a body that is no event is a failure, which is tried again."""
    one, letters = Subscriber(Answer(200, b"OK")), Subscriber()
    with lab.broker(manifests.lab(ONE("one", "asked", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event("asked"))
        (letter,) = lab.eventually(letters, 1)
    assert len(one.got) == 1 + QUICK["retry"]
    assert "knativeerrorcode" not in letter.event  # the filter judged so, and what it judged is not passed on


def half_an_event(lab: Lab) -> None:
    """So is one that says it is an event and is none."""
    said = {"Content-Type": "application/cloudevents+json"}
    one, letters = Subscriber(Answer(200, b"no JSON", said)), Subscriber()
    with lab.broker(manifests.lab(ONE("one", "asked", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event("asked"))
        (letter,) = lab.eventually(letters, 1)
    assert len(one.got) == 1 + QUICK["retry"]
    assert "knativeerrorcode" not in letter.event  # the filter judged so, and what it judged is not passed on


def in_circles(lab: Lab) -> None:
    """A reply that is heard by who gave it ends after so many rounds, and is a dead letter then."""
    body, headers = encoded(event("asked", id="again"), "binary")
    one, letters = Subscriber(Answer(200, body, headers)), Subscriber()
    with lab.broker(manifests.lab(ONE("one", "asked", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event("asked"))
        (letter,) = lab.eventually(letters, 1)
    assert len(one.got) == HOPS
    assert (letter.event["id"], letter.event["knativeerrorcode"]) == ("again", "400")
    assert json.loads(letter.data) == {"a": 1}


def nobody_waits(lab: Lab) -> None:
    """Who posts an event is answered before anybody got it; a slow function holds up no other."""
    slow, quick = Subscriber(Answer(204, after=3)), Subscriber()
    triggers = (ONE("slow", "asked", **QUICK), ONE("quick", "asked", **QUICK))
    with lab.broker(manifests.lab(*triggers), slow=slow, quick=quick):
        assert lab.send(event("asked")) == 202
        lab.eventually(quick, 1)
        assert slow.given == []
