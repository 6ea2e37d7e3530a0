"""Functions whose stores do not answer, or whose Secret is wrong or missing."""

import contextlib
import copy
import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests import sounds
from tests.e2e.harness import eventually
from tests.knative.on_cluster.deployed import asleep, awake, outside, pods, ready
from tests.knative.on_cluster.kubectl import NAMESPACE, Document, applied, get, kubectl

# A function, what it is asked that needs the store, and what its log calls it
STORES = {
    "redis": ("queue", ("/apiv1/queue", None), "Redis"),
    "s3": ("upload", ("/apiv1/separate", sounds.wav(sounds.samples(1.15))), "object store"),
}

pytestmark = pytest.mark.timeout(600)


@contextlib.contextmanager
def away(store: str) -> Iterator[None]:
    """A store that is gone until the block is left."""
    kubectl("scale", f"statefulset/{store}", "--replicas=0")
    kubectl("wait", f"pod/{store}-0", "--for=delete", "--timeout=120s")
    try:
        yield
    finally:
        kubectl("scale", f"statefulset/{store}", "--replicas=1")
        eventually(lambda: ready(get("pod", f"{store}-0")), 120)


def log(pod: Document) -> str:
    return kubectl("logs", pod["metadata"]["name"], "-c", "user-container")


@pytest.mark.parametrize("store", STORES)
def test_a_function_is_not_ready_until_its_stores_answered_and_stays_so(store: str) -> None:
    function, (path, body), name = STORES[store]
    asleep(function)
    answers: list[tuple[int, bytes]] = []
    client = threading.Thread(target=lambda: answers.append(outside(function, path, 280, body)), daemon=True)
    with away(store):
        client.start()
        eventually(lambda: f"{name} does not answer" in log(one(function)), 60)
        assert not ready(one(function))
    client.join(200)
    assert [status for status, _ in answers] == [200]
    another = body and sounds.wav(sounds.samples(1.25))  # one that is known would need no store
    with awake(partial(outside, function)):
        eventually(lambda: ready(one(function)), 60)  # kubelet looks more rarely than queue-proxy
        with away(store):
            status, problem = outside(function, path, 60, another)
            assert (status, json.loads(problem)["status"]) == (503, 503)
            assert ready(one(function))
        assert eventually(lambda: outside(function, path, 60, another)[0] == 200, 60)


def one(function: str) -> Document:
    """Its only pod that is not ending."""
    (found,) = (pod for pod in pods(function) if "deletionTimestamp" not in pod["metadata"])
    return found


def like_queue(name: str, secret: str) -> Document:
    """Another function `queue`, with this Secret."""
    template = copy.deepcopy(get("ksvc", "queue")["spec"]["template"])
    template["metadata"] = {"annotations": {"autoscaling.knative.dev/window": "6s"}}
    (reference,) = (source for source in template["spec"]["containers"][0]["envFrom"] if "secretRef" in source)
    reference["secretRef"]["name"] = secret
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": template},
    }


def secret(name: str, **changed: str) -> Document:
    before = get("secret", "medley-stores")["data"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {key: value for key, value in before.items() if key not in changed},
        "stringData": changed,
    }


def test_with_a_wrong_secret_it_never_gets_ready_and_says_why() -> None:
    wrong = secret("wrong-stores", REDIS_URL="redis://:wrong@redis:6379/0")
    with applied(wrong, like_queue("queue-wrong", "wrong-stores")):
        eventually(lambda: "not ready:" in log(one("queue-wrong")), 60)
        assert "Redis refuses the password in REDIS_URL" in log(one("queue-wrong"))
        assert not ready(one("queue-wrong"))
        assert condition("queue-wrong")["status"] != "True"


def test_with_half_a_secret_it_names_what_is_missing() -> None:
    with applied(secret("half-stores", REDIS_URL=""), like_queue("queue-half", "half-stores")):
        eventually(lambda: "missing settings: REDIS_URL" in log(one("queue-half")), 60)
        assert condition("queue-half")["status"] != "True"


def test_without_a_secret_kubernetes_says_which_is_missing() -> None:
    with applied(like_queue("queue-none", "no-stores")):
        said = eventually(lambda: waiting("queue-none"), 60)
        assert said["reason"] == "CreateContainerConfigError"
        assert 'secret "no-stores" not found' in said["message"]


def waiting(function: str) -> dict[str, Any] | None:
    statuses = one(function)["status"].get("containerStatuses", [])
    found: list[dict[str, Any]] = [status["state"]["waiting"] for status in statuses if "waiting" in status["state"]]
    return next((state for state in found if state["reason"] == "CreateContainerConfigError"), None)


def condition(function: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = get("ksvc", function)["status"]["conditions"]
    return next(one for one in found if one["type"] == "Ready")
