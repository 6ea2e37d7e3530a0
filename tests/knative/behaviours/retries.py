"""What is sent again, when, and how often."""

import itertools
from functools import partial
from typing import Any

from tests.knative import manifests
from tests.knative.subscriber import Answer, Subscriber
from tests.knative.world import Lab, event

QUICK = {"retry": 3, "backoffPolicy": "exponential", "backoffDelay": "PT0.05S"}
BREAKS_OFF = 0
RETRIED = (404, 408, 409, 429, 500, 502, 503, 504, BREAKS_OFF)
GIVEN_UP = (400, 401, 403, 405, 410, 413, 415, 422)


def again(lab: Lab, status: int) -> None:
    """What may pass is tried again until it is done, and no longer."""
    one, letters = Subscriber(status, status, 204), Subscriber()
    with lab.broker(manifests.lab(manifests.trigger("one", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event())
        lab.eventually(one, 3)
    assert letters.got == []
    assert len({delivery.event["id"] for delivery in one.got}) == 1


def once(lab: Lab, status: int) -> None:
    """What will not pass is not tried again."""
    one, letters = Subscriber(status), Subscriber()
    with lab.broker(manifests.lab(manifests.trigger("one", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event())
        (letter,) = lab.eventually(letters, 1)
    assert len(one.got) == 1
    assert letter.event["knativeerrorcode"] == str(status)


def too_late(lab: Lab) -> None:
    """An answer that does not come within the delivery's time limit is none."""
    one = Subscriber(Answer(204, after=2.5), Answer(204))
    delivery = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT0.05S", "timeout": "PT1S"}
    with lab.broker(manifests.lab(manifests.trigger("one", **delivery)), one=one):
        lab.send(event())
        lab.eventually(one, 2)


def exponential(lab: Lab) -> None:
    _waits(lab, {"retry": 4, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"}, [0.2, 0.4, 0.8, 1.6])


def linear(lab: Lab) -> None:
    _waits(lab, {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT0.3S"}, [0.0, 0.3, 0.6])


def _waits(lab: Lab, delivery: dict[str, Any], least: list[float]) -> None:
    """The Trigger's own back-off lies between two deliveries; how much more, a busy machine decides."""
    one, letters = Subscriber(503), Subscriber()
    with lab.broker(manifests.lab(manifests.trigger("one", letters="letters", **delivery)), one=one, letters=letters):
        lab.send(event())
        lab.eventually(letters, 1)
    waits = [later.at - earlier.at for earlier, later in itertools.pairwise(one.got)]
    assert len(waits) == len(least)
    assert all(wait >= wanted for wait, wanted in zip(waits, least, strict=True)), waits


def as_often_as_the_trigger_says(lab: Lab, function: str, event_type: str, retries: int) -> None:
    """A function that always fails, behind its Trigger of knative/base; then its dead letter is with logsink."""
    failing, logsink = Subscriber(503), Subscriber()
    functions = {"separate": Subscriber(), "callback": Subscriber(), "logsink": logsink, function: failing}
    with lab.broker(manifests.base("PT0.002S"), **functions):
        lab.send(event(event_type))
        twice = 2 if function == "logsink" else 1  # its dead letters are its own
        lab.eventually(failing, twice * (1 + retries))
    letters = [delivery for delivery in functions["logsink"].got if "knativeerrordest" in delivery.event]
    assert len(letters) == (1 + retries if function == "logsink" else 1)


def own_delivery(lab: Lab) -> None:
    """A Trigger's delivery replaces the Broker's as a whole; only the dead letter sink is still the Broker's."""
    one, two, letters = Subscriber(503), Subscriber(503), Subscriber()
    fallback = {"retry": 5, "backoffPolicy": "linear", "backoffDelay": "PT0.02S"}
    own = manifests.trigger("one", retry=1, backoffPolicy="linear", backoffDelay="PT0.02S")
    documents = manifests.lab(own, manifests.trigger("two"), deadLetterSink=manifests.reference("letters"), **fallback)
    with lab.broker(documents, one=one, two=two, letters=letters):
        lab.send(event())
        lab.eventually(letters, 2)
    assert (len(one.got), len(two.got)) == (2, 6)


TABLE = {
    **{f"an answer {status or 'that breaks off'} is tried again": partial(again, status=status) for status in RETRIED},
    **{f"an answer {status} is not tried again": partial(once, status=status) for status in GIVEN_UP},
    "an answer after the delivery's time limit is tried again": too_late,
    "the Trigger's own exponential back-off": exponential,
    "the Trigger's own linear back-off": linear,
    "separate that always fails is tried 11 times": partial(
        as_often_as_the_trigger_says, function="separate", event_type="dev.medley.song.uploaded.v1", retries=10
    ),
    "callback that always fails is tried 6 times": partial(
        as_often_as_the_trigger_says, function="callback", event_type="dev.medley.callback.due.v1", retries=5
    ),
    "logsink that always fails is tried 4 times": partial(
        as_often_as_the_trigger_says, function="logsink", event_type="dev.medley.log.written.v1", retries=3
    ),
    "a Trigger's delivery replaces the Broker's": own_delivery,
}
