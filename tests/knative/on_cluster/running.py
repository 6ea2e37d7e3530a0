"""The deployed medley as the table's rows about songs use it."""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from medley.local import clock, manifests
from medley.local.up import MANIFESTS
from tests.e2e.harness import QUICK, eventually
from tests.knative.on_cluster import node
from tests.knative.on_cluster.deployed import Deployed, pods, settings
from tests.knative.on_cluster.kubectl import NAMESPACE, get, kubectl
from tests.knative.place import Place, Setting
from tests.knative.world import post

EVENTING = "knative-eventing"
INGRESS = "eventing.knative.dev/brokerRole=ingress"
BROKER = "deployment/mt-broker-ingress"
SWEEP = f"http://sweep.{NAMESPACE}.svc.cluster.local"


class Running:
    service = Deployed()
    broker_url = f"http://broker-ingress.{EVENTING}.svc.cluster.local/{NAMESPACE}/default"

    def kill(self, function: str) -> None:
        for pod in _alive(function):
            node.kill(pod, "user-container")

    def terminate(self, function: str) -> None:
        """Of a pod that ends, the function hears 30 s later; here at once."""
        for pod in _alive(function):
            before = _restarts(pod)
            node.terminate(pod, "user-container")
            eventually(lambda pod=pod, before=before: _restarts(pod) > before, 60)

    def ping(self) -> int:
        (ping,) = manifests.load(MANIFESTS).pings
        return post(SWEEP + ping.sink.path, ping.data.encode(), clock.event(ping).headers())

    @contextmanager
    def broker_away(self) -> Iterator[None]:
        _scale_broker(0)
        eventually(lambda: not get("pods", "-l", INGRESS, namespace=EVENTING)["items"])
        try:
            yield
        finally:
            _scale_broker(1)
            kubectl("wait", "--for=condition=Available", "--timeout=60s", BROKER, namespace=EVENTING)


def _scale_broker(replicas: int) -> None:
    kubectl("scale", BROKER, f"--replicas={replicas}", namespace=EVENTING)


@contextmanager
def running(setting: Setting) -> Iterator[Running]:
    """It begins with nothing stored, has one worker and a test's short times, and is pinged as often as is asked."""
    medley, end = Running(), threading.Event()
    pinging = threading.Thread(target=_ping, args=(medley, setting.ping, end), daemon=True)
    with settings(**{**QUICK, **dict(setting.environment)}), workers("1"):
        _empty(medley.service)
        pinging.start()
        try:
            yield medley
        finally:
            end.set()
            pinging.join()


def _ping(medley: Running, seconds: float, end: threading.Event) -> None:
    while seconds and not end.wait(seconds):
        with contextlib.suppress(OSError):
            medley.ping()


@contextmanager
def workers(number: str) -> Iterator[None]:
    """Another max-scale of `separate`, inside the block."""
    before = get("ksvc", "separate")["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"]
    _set_workers(number)
    try:
        yield
    finally:
        _set_workers(before)


def _set_workers(number: str) -> None:
    template = {"metadata": {"annotations": {"autoscaling.knative.dev/max-scale": number}}}
    kubectl("patch", "ksvc", "separate", "--type=merge", "-p", json.dumps({"spec": {"template": template}}))
    kubectl("wait", "ksvc/separate", "--for=condition=Ready", "--timeout=120s")


def _empty(service: Deployed) -> None:
    for name in service.objects():
        service.s3.remove_object("songs", name)
    service.redis.flushall()


def _alive(function: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in pods(function) if "deletionTimestamp" not in pod["metadata"]]


def _restarts(pod: str) -> int:
    statuses = get("pod", pod)["status"]["containerStatuses"]
    return int(next(one["restartCount"] for one in statuses if one["name"] == "user-container"))


@dataclass(kw_only=True)
class OnCluster(Place):
    """A row's place whose log is the list in Redis, and whose functions have names and no ports."""

    def lines(self, message: str, song: str, function: str = "separate") -> list[dict[str, Any]]:
        found = [
            line for line in self.service.redis.lrange("logging", 0, -1) if f":{message} " in line and song in line
        ]
        return [{"message": message, "line": line} for line in found if line.startswith(f"{function}-")]

    def send(self, function: str, event: dict[str, Any], instance: int = 0) -> int:
        url = f"http://{function}.{NAMESPACE}.svc.cluster.local"
        return post(url, json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})
