"""Events that medley's own functions cannot make anything of."""

from typing import Any

from medley import names
from tests.e2e.harness import eventually
from tests.knative import manifests
from tests.knative.behaviours.refused import MEGABYTE
from tests.knative.subscriber import Answer, Subscriber, Tap
from tests.knative.world import Lab, event

UNKNOWN = "0" * 64  # a song's hash, of no song
DATA: dict[str, tuple[Any, int]] = {  # and how separate answers
    "a hash that is none": ({"hash": "x"}, 422),
    "a hash that is a number": ({"hash": 5}, 422),
    "a hash in capitals": ({"hash": "A" * 64}, 422),
    "no hash": ({}, 422),
    "a list": ([UNKNOWN], 422),
    "a text": (UNKNOWN, 422),
    "nothing": (None, 422),
    "a song that does not exist": ({"hash": UNKNOWN}, 204),
    "a member more": ({"hash": UNKNOWN, "of a later version": {"a": [1]}}, 204),
    "a megabyte more": ({"hash": UNKNOWN, "text": "x" * MEGABYTE}, 204),
    "a megabyte of hash": ({"hash": "0" * MEGABYTE}, 422),
}
CALLBACKS: dict[str, tuple[Any, int]] = {
    "a callback that does not exist": ({"hash": UNKNOWN, "callback": "none"}, 204),
    "a callback that is a number": ({"hash": UNKNOWN, "callback": 5}, 204),
    "a callback of no song": ({"callback": "none"}, 422),
}
LINES: dict[str, tuple[Any, int]] = {
    "a line without a message": ({"host": "h", "function": "f", "level": "info"}, 422),
    "a line of an unknown level": ({"host": "h", "function": "f", "level": "loud", "message": "m"}, 422),
    "a line with a member more": ({"host": "h", "function": "f", "level": "info", "message": "m", "more": 1}, 204),
    "a line of a megabyte": ({"host": "h", "function": "f", "level": "info", "message": "x" * MEGABYTE}, 204),
}


def separate(lab: Lab) -> None:
    _answered(lab, "separate", names.SONG_UPLOADED, DATA)


def callback(lab: Lab) -> None:
    _answered(lab, "callback", names.CALLBACK_DUE, CALLBACKS)


def logsink(lab: Lab) -> None:
    _answered(lab, "logsink", names.LOG_WRITTEN, LINES)


def silent_letter(lab: Lab) -> None:
    """A dead letter that does not tell why is for logsink too, though it is of a type that nobody sends there."""
    late, logsink = Subscriber(Answer(204, after=2)), Tap(lab.functions["logsink"])
    delivery = {
        "retry": 0,
        "backoffPolicy": "linear",
        "backoffDelay": "PT0S",
        "timeout": "PT0.5S",
        "letters": "logsink",
    }
    with lab.broker(manifests.lab(manifests.trigger("late", **delivery)), late=late, logsink=logsink):
        lab.send(event(names.SONG_UPLOADED, data={"hash": UNKNOWN}))
        (letter,) = lab.eventually(logsink, 1)
        eventually(lambda: logsink.given)
    assert "knativeerrordest" not in letter.event
    assert [answer.status for _, answer in logsink.given] == [204]


def _done(lab: Lab, taps: dict[str, Tap]) -> None:
    """Waits until every function has answered, and nothing came of the answers any more."""
    lab.calm()
    eventually(lambda: all(len(tap.given) == len(tap.got) for tap in taps.values()))
    lab.calm()


def _answered(lab: Lab, function: str, event_type: str, table: dict[str, tuple[Any, int]]) -> None:
    """Each event is delivered once and no more; what was refused is a dead letter, which logsink takes."""
    taps = {name: Tap(lab.functions[name]) for name in ("separate", "callback", "logsink")}
    with lab.broker(manifests.base("PT0.05S"), **taps):
        for name, (data, _) in table.items():
            assert lab.send(event(event_type, id=name.replace(" ", "-"), data=data)) == 202
        _done(lab, taps)
    answers = {
        delivery.event["id"]: answer.status
        for delivery, answer in taps[function].given
        if "knativeerrordest" not in delivery.event
    }
    assert answers == {name.replace(" ", "-"): status for name, (_, status) in table.items()}
    letters = [pair for pair in taps["logsink"].given if "knativeerrordest" in pair[0].event]
    assert {answer.status for _, answer in letters} == {204}
    refused = sum(status == 422 for _, status in table.values())
    assert len(letters) == refused
    assert sum(len(tap.got) for tap in taps.values()) == len(table) + refused  # nothing was sent again
    assert all(len(answer.body) <= 768 for tap in taps.values() for _, answer in tap.given)
