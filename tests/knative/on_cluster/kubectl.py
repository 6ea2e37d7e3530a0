"""kubectl, as an operator has it, for the cluster of KUBECONFIG."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

Document = dict[str, Any]

NAMESPACE = "medley"


def kubectl(*arguments: str, given: str | None = None, namespace: str = NAMESPACE) -> str:
    """What it printed. Raises AssertionError with what it complained of."""
    command = ["kubectl", "-n", namespace, *arguments]
    ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=600)
    assert ran.returncode == 0, f"{' '.join(command)}: {ran.stderr}"
    return ran.stdout


def get(*what: str, namespace: str = NAMESPACE) -> Document:
    """An object, or a list of them under `items`."""
    found: Document = json.loads(kubectl("get", *what, "-o", "json", namespace=namespace))
    return found


@contextlib.contextmanager
def applied(*documents: Document, namespace: str = NAMESPACE) -> Iterator[None]:
    """These objects, until the end of the block."""
    given = "\n---\n".join(json.dumps(document) for document in documents)
    kubectl("apply", "-f", "-", given=given, namespace=namespace)
    try:
        yield
    finally:
        kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", given=given, namespace=namespace)


def until(seconds: float, holds: Callable[[], object]) -> None:
    """Looks every half second, for so long, whether it holds. Raises AssertionError."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it did not hold within {seconds:g} s"
        time.sleep(0.5)
