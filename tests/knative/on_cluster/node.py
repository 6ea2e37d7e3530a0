"""What can be done to the cluster's only node, from inside."""

import signal
import subprocess

from tests.knative.on_cluster.kubectl import get
from tests.manifests.rendering import ROOT

INSIDE = str(ROOT / "tests" / "knative" / "cluster" / "inside")


def run(*command: str) -> str:
    """What a command in the node's namespaces printed."""
    return subprocess.run([INSIDE, *command], check=True, capture_output=True, text=True, timeout=60).stdout


def kill(pod: str, container: str) -> None:
    """Ends a container of a pod at once, as the kernel does for want of memory."""
    _signal(pod, container, signal.SIGKILL, "--all")


def terminate(pod: str, container: str) -> None:
    """Tells it to end, as kubelet does."""
    _signal(pod, container, signal.SIGTERM)


def _signal(pod: str, container: str, number: signal.Signals, *options: str) -> None:
    statuses = get("pod", pod)["status"]["containerStatuses"]
    (id_,) = (one["containerID"].removeprefix("containerd://") for one in statuses if one["name"] == container)
    run("ctr", "-n", "k8s.io", "task", "kill", *options, "--signal", number.name, id_)
