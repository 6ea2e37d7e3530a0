"""What queue-proxy does in front of a function."""

from tests.knative import manifests
from tests.knative.subscriber import Answer, Subscriber
from tests.knative.world import Lab, event

PATIENT = {"retry": 8, "backoffPolicy": "exponential", "backoffDelay": "PT0.1S"}


def one_at_a_time(lab: Lab) -> None:
    """At concurrency 1 events wait for each other, and none is lost."""
    one = Subscriber(Answer(204, after=0.1))
    with lab.broker(manifests.lab(manifests.trigger("one", **PATIENT), service={"containerConcurrency": 1}), one=one):
        for _ in range(5):
            lab.send(event())
        lab.eventually(one, 5)
    assert one.most == 1


def overrun(lab: Lab) -> None:
    """More than ten may not wait for one slot: the others are sent away, and come again."""
    one = Subscriber(Answer(204, after=0.1))
    with lab.broker(manifests.lab(manifests.trigger("one", **PATIENT), service={"containerConcurrency": 1}), one=one):
        for _ in range(20):
            lab.send(event())
        lab.eventually(one, 20)
    assert one.most == 1


def out_of_time(lab: Lab) -> None:
    """A request that takes longer than timeoutSeconds is a 504, and tried again."""
    one, letters = Subscriber(Answer(204, after=2.5), Answer(204, after=2.5), Answer(204)), Subscriber()
    triggers = manifests.lab(manifests.trigger("one", letters="letters", **PATIENT), service={"timeoutSeconds": 1})
    with lab.broker(triggers, one=one, letters=letters):
        lab.send(event())
        lab.eventually(one, 3)
    assert letters.got == []


def the_wait_counts(lab: Lab) -> None:
    """The time limit runs while a request waits for its slot: what waited has only the rest of it."""
    one, letters = Subscriber(Answer(204, after=5), Answer(204, after=0.8)), Subscriber()  # 0.8 s alone is in time
    service = {"containerConcurrency": 1, "timeoutSeconds": 1}
    never = {"retry": 0, "backoffPolicy": "linear", "backoffDelay": "PT0.1S", "letters": "letters"}
    with lab.broker(manifests.lab(manifests.trigger("one", **never), service=service), one=one, letters=letters):
        lab.send(event(id="1"))
        lab.send(event(id="2"))
        late = lab.eventually(letters, 2)
    assert {letter.event["knativeerrorcode"] for letter in late} == {"504"}
