"""The medley that `make cluster` has deployed, as tests look at it."""

import base64
import contextlib
import json
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import redis
from minio import Minio

from tests.e2e.harness import Service, eventually
from tests.knative.on_cluster.kubectl import NAMESPACE, Document, get, kubectl

OUTSIDE = os.environ.get("INGRESS_IP", "")  # where the ingress serves who is outside the cluster
INSIDE = os.environ.get("INGRESS_LOCAL_IP", "")  # and who is inside
HOST = os.environ.get("HOST_IP", "")  # this machine, as pods reach it
DOMAIN = "example.com"


class Deployed(Service):
    """Its client, by the gateway, and a look into its stores."""

    def __init__(self) -> None:
        pass

    @property
    def url(self) -> str:
        return f"http://{address('gateway')}"

    @property
    def redis(self) -> redis.Redis:
        url = secrets()["REDIS_URL"].replace("@redis:", f"@{address('redis')}:")
        return redis.Redis.from_url(url, decode_responses=True)

    @property
    def s3(self) -> Minio:
        keys = secrets()["S3_ACCESS_KEY"], secrets()["S3_SECRET_KEY"]
        return Minio(f"{address('s3')}:8333", *keys, secure=False, region="us-east-1")

    def logged(self, message: str, songs: Iterable[str]) -> list[str]:
        """The songs that a line with this message was logged about, in the order of the lines."""
        lines = self.redis.lrange("logging", 0, -1)
        found = (re.search(r"hash=(\w+)", line) for line in lines if f":{message} " in line)
        return [match[1] for match in found if match and match[1] in songs]


@cache
def address(service: str, namespace: str = NAMESPACE) -> str:
    """The address of a Kubernetes Service."""
    return str(get("service", service, namespace=namespace)["spec"]["clusterIP"])


@cache
def resolved(host: str) -> str:
    """The address of a name inside the cluster: of a function it is the ingress."""
    service, namespace = host.split(".")[:2]
    found = get("service", service, namespace=namespace)["spec"]
    return INSIDE if found["type"] == "ExternalName" else str(found["clusterIP"])


@cache
def secrets() -> dict[str, str]:
    data = get("secret", "medley-stores")["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def request(url: str, timeout: float = 60, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """The status and body of the answer to a GET, or to a POST of audio."""
    headers = headers | ({"Content-Type": "audio/wav"} if body else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def outside(function: str, path: str = "/", timeout: float = 60, body: bytes | None = None) -> tuple[int, bytes]:
    """What a function answers to who is outside the cluster."""
    return request(f"http://{OUTSIDE}{path}", timeout, body, Host=f"{function}.{NAMESPACE}.{DOMAIN}")


def inside(function: str, path: str = "/") -> tuple[int, bytes]:
    """What it answers to who is inside."""
    return request(f"http://{function}.{NAMESPACE}.svc.cluster.local{path}")


def is_outside(function: str) -> bool:
    """Whether it may be reached from outside."""
    return "networking.knative.dev/visibility" not in get("ksvc", function)["metadata"].get("labels", {})


def pods(function: str) -> list[Document]:
    """Those that are there, also those that are ending."""
    found: list[Document] = get("pods", "-l", f"serving.knative.dev/service={function}")["items"]
    return found


def ready(pod: Document) -> bool:
    conditions: list[dict[str, Any]] = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def asleep(function: str, limit: float = 120) -> None:
    """Waits until it has no pod at all. Fails with what keeps one: its states and the end of its log."""
    try:
        eventually(lambda: not pods(function), limit, pause=1)
    except AssertionError as error:
        name = f"serving.knative.dev/service={function}"
        state = kubectl("get", "pods", "-o", "wide", "-l", name)
        log = kubectl("logs", "-l", name, "--all-containers", "--prefix", "--tail=40")
        raise AssertionError(f"{function} is awake after {limit:g} s\n{state}\n{log}") from error


@contextlib.contextmanager
def awake(ask: Callable[[], object]) -> Iterator[None]:
    """A function that is asked once a second has no reason to fall asleep."""
    end = threading.Event()

    def keep_asking() -> None:
        while not end.wait(1):
            ask()

    asking = threading.Thread(target=keep_asking, daemon=True)
    asking.start()
    try:
        yield
    finally:
        end.set()
        asking.join()


@contextlib.contextmanager
def settings(**values: str) -> Iterator[None]:
    """Other settings of the functions inside the block; pods from before it are ended."""
    before = get("configmap", "medley")["data"]
    _set(values)
    try:
        yield
    finally:
        _set({name: before.get(name) for name in values})


def _set(values: Mapping[str, str | None]) -> None:
    kubectl("patch", "configmap", "medley", "--type=merge", "-p", json.dumps({"data": values}))
    kubectl("delete", "pods", "-l", "serving.knative.dev/service", "--wait=false")
