"""The cluster of `make cluster`, on which all tests here run; one after the other, since they share it."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.backends import missing
from tests.e2e.harness import Called, listening
from tests.knative.on_cluster.deployed import HOST, Deployed, resolved
from tests.manifests.rendering import ROOT

REPORTS = ROOT / "build" / "cluster"
written: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> None:
    look = ["kubectl", "--request-timeout=5s", "-n", "medley", "wait", "ksvc", "--all", "--for=condition=Ready"]
    try:
        subprocess.run(look, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        missing("a cluster with medley (make cluster)")


@pytest.fixture(scope="session", autouse=True)
def _names() -> Iterator[None]:
    """Names inside the cluster, which this machine does not know."""
    known = socket.getaddrinfo

    def look(host: str | None, *arguments: Any, **options: Any) -> Any:
        inside = isinstance(host, str) and host.endswith(".svc.cluster.local")
        return known(resolved(str(host)) if inside else host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look)
        yield


@pytest.fixture(scope="session")
def medley() -> Deployed:
    return Deployed()


@pytest.fixture
def called() -> Iterator[Called]:
    """A client's own server, where pods can reach it."""
    with listening(HOST) as listener:
        yield listener


@pytest.fixture(scope="session")
def report() -> Callable[[str, Any], None]:
    """Keeps what was measured, in build/cluster/<name>.json."""

    def write(name: str, measured: Any) -> None:
        REPORTS.mkdir(parents=True, exist_ok=True)
        (REPORTS / f"{name}.json").write_text(json.dumps(measured, indent=1) + "\n")
        written.append(name)

    return write


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name in written:
        terminalreporter.section(name)
        terminalreporter.write_line((REPORTS / f"{name}.json").read_text())
