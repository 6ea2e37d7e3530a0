"""Dead letters."""

import base64
import contextlib
from urllib.parse import urlsplit

from tests.knative import manifests
from tests.knative.subscriber import Answer, Subscriber
from tests.knative.world import Lab, event

QUICK = {"retry": 1, "backoffPolicy": "linear", "backoffDelay": "PT0.05S"}
ATTRIBUTES = ("knativeerrordest", "knativeerrorcode", "knativeerrordata")
BEARABLE = 768  # bytes: 1024 in base64


def tells_why(lab: Lab) -> None:
    """The event as it was, and where it should have gone, the last status, and the begin of the answer in base64."""
    why = "no söng\n".encode() + b"x" * (BEARABLE - 9)
    one, letters = Subscriber(Answer(422, why)), Subscriber()
    with lab.broker(
        manifests.lab(manifests.trigger("one", path="/in", letters="letters", **QUICK)), one=one, letters=letters
    ):
        lab.send(event(id="7", subject="s"))
        (letter,) = lab.eventually(letters, 1)
    assert (letter.event["id"], letter.event["type"], letter.event["subject"]) == ("7", "dev.medley.test", "s")
    assert letter.json == {"a": 1}
    assert urlsplit(letter.event["knativeerrordest"]).path == "/in"
    assert letter.event["knativeerrorcode"] == "422"
    assert base64.b64decode(letter.event["knativeerrordata"]) == why


def silent_when_late(lab: Lab) -> None:
    """One whose function did not answer in time does not tell why."""
    one, letters = Subscriber(Answer(204, after=2)), Subscriber()
    delivery = {**QUICK, "timeout": "PT0.5S", "letters": "letters"}
    with lab.broker(manifests.lab(manifests.trigger("one", **delivery)), one=one, letters=letters):
        lab.send(event())
        (letter,) = lab.eventually(letters, 1)
    assert not set(ATTRIBUTES) & set(letter.event)


def given_up(lab: Lab) -> None:
    """A dead letter that nobody takes is tried as often as its event, and that is all."""
    one, letters = Subscriber(400), Subscriber(503)
    with lab.broker(manifests.lab(manifests.trigger("one", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event())
        lab.eventually(letters, 1 + QUICK["retry"])
    assert len(one.got) == 1


def taken_with_any_words(lab: Lab) -> None:
    """What takes dead letters may answer with a body: no filter looks at it."""
    one, letters = Subscriber(400), Subscriber(Answer(200, b"OK"))
    with lab.broker(manifests.lab(manifests.trigger("one", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event())
        lab.eventually(letters, 1)


def ended_by_a_long_answer(lab: Lab) -> None:
    """An error's body that is longer in base64 than the attribute may be ends Knative's dispatcher by a panic."""
    one, letters = Subscriber(Answer(422, bytes(BEARABLE + 1))), Subscriber()
    with lab.broker(manifests.lab(manifests.trigger("one", letters="letters", **QUICK)), one=one, letters=letters):
        lab.send(event())
        lab.calm()
        with contextlib.suppress(OSError):
            lab.send(event())
            raise AssertionError("it takes events: medley/http.py need not cut its answers any more")
    assert letters.got == []
