"""The world of Knative's own parts as plain processes: its Broker, and queue-proxy in front of each function."""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from medley.local import ports
from tests.backends import missing
from tests.e2e.harness import eventually
from tests.knative import manifests
from tests.knative.local import HOST, Door, LocalMedley, address, service
from tests.knative.place import Running, Setting
from tests.knative.queue_proxy import DIES_WITH_US, permitted, queue_proxy
from tests.manifests.rendering import ROOT, Document, find, of_kind

MODULE = Path(__file__).parent / "parts"
BINARIES = ROOT / ".cache" / "knative"
PATH = f"/{manifests.NAMESPACE}/default"
TIMEOUT = START = 300  # s, Knative's defaults for a whole answer and for its begin


class BrokerProcess(NamedTuple):
    url: str  # that events are posted to
    pid: int


class Processes:
    name = "processes"
    address = HOST

    @contextmanager
    def broker(self, documents: Sequence[Document], addresses: Mapping[str, str]) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            services = {
                name: stack.enter_context(_queue_proxy(find(documents, "Service", name), address, Path(folder)))
                for name, address in addresses.items()
            }
            yield stack.enter_context(running_broker(documents, services, Path(folder))).url

    @contextmanager
    def medley(self, setting: Setting) -> Iterator[Running]:
        built()
        door = Door(PATH)
        documents = _limited(manifests.base(), setting)
        with (
            tempfile.TemporaryDirectory() as folder,
            service(Path(folder) / "data", setting, door) as running,
            ExitStack() as stack,
        ):
            services = {
                name: stack.enter_context(
                    _queue_proxy(find(documents, "Service", name), address(running, name), Path(folder))
                )
                for name in _hearing(documents)
            }
            door.open(stack.enter_context(running_broker(documents, services, Path(folder))).url)
            stack.callback(door.shut)
            yield LocalMedley(running, door, f"http://{services['sweep']}")


@cache
def built() -> Path:
    """The folder with Knative's parts, built from their published modules."""
    if shutil.which("go") is None:
        missing("Go")
    if not permitted():
        missing("root, who may make network namespaces,")
    BINARIES.mkdir(parents=True, exist_ok=True)
    options = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w", f"-o={BINARIES}/"]
    subprocess.run(["go", "build", *options, ".", "knative.dev/serving/cmd/queue"], cwd=MODULE, check=True)
    return BINARIES


@contextmanager
def running_broker(documents: Sequence[Document], services: Mapping[str, str], folder: Path) -> Iterator[BrokerProcess]:
    """Knative's Broker, whose Services listen at these host:ports."""
    (port,) = ports.free(1)
    told = {
        "listen": f"{HOST}:{port}",
        "broker": find(documents, "Broker", "default"),
        "triggers": of_kind(documents, "Trigger"),
        "services": services,
    }
    file = folder / f"broker-{port}"
    file.with_suffix(".json").write_text(json.dumps(told))
    with file.with_suffix(".json").open("rb") as stdin, file.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen([*DIES_WITH_US, str(built() / "parts")], stdin=stdin, stdout=log, stderr=log)
    try:
        eventually(lambda: process.poll() is None and _listens(port), pause=0.02)
        yield BrokerProcess(f"http://{HOST}:{port}{PATH}", process.pid)
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((HOST, port), 1).close()
        return True
    return False


def _queue_proxy(service: Document, address: str, folder: Path) -> AbstractContextManager[str]:
    """The host:port of a queue-proxy in front of `address`."""
    port = urlsplit(address).port or 0
    log = folder / f"queue-{service['metadata']['name']}.log"
    return queue_proxy(built() / "queue", (HOST, port), queue_proxy_environment(service), log)


def queue_proxy_environment(service: Document) -> dict[str, str]:
    """What the controller of Knative's Services tells the queue-proxy of a revision, but for its ports."""
    revision, name = service["spec"]["template"]["spec"], service["metadata"]["name"]
    timeout = revision.get("timeoutSeconds", TIMEOUT)
    environment = {
        "CONTAINER_CONCURRENCY": revision.get("containerConcurrency", 0),
        "REVISION_TIMEOUT_SECONDS": timeout,
        "REVISION_RESPONSE_START_TIMEOUT_SECONDS": revision.get("responseStartTimeoutSeconds", min(timeout, START)),
        "QUEUE_SERVING_TLS_PORT": 8112,
        "SERVING_NAMESPACE": manifests.NAMESPACE,
        "SERVING_SERVICE": name,
        "SERVING_CONFIGURATION": name,
        "SERVING_REVISION": f"{name}-00001",
        "SERVING_POD": f"{name}-00001-deployment",
        "SERVING_POD_IP": HOST,
        "SERVING_LOGGING_CONFIG": "",
        "SERVING_LOGGING_LEVEL": "",
    }
    return {variable: str(value) for variable, value in environment.items()}


def _hearing(documents: Sequence[Document]) -> set[str]:
    """The Services that hear events or pings."""
    sinks = [one["spec"]["subscriber"] for one in of_kind(documents, "Trigger")]
    sinks += [one["spec"]["sink"] for one in of_kind(documents, "PingSource")]
    return {str(sink["ref"]["name"]) for sink in sinks}


def _limited(documents: list[Document], setting: Setting) -> list[Document]:
    """TIME_LIMIT is the worker's timeoutSeconds, as `medley up` takes it."""
    if limit := dict(setting.environment).get("TIME_LIMIT"):
        find(documents, "Service", "separate")["spec"]["template"]["spec"] |= {"timeoutSeconds": int(limit)}
    return documents
