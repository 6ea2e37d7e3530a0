"""The cluster itself: made again it stays as it is, killed it comes back with all that was stored. These run last."""

import io
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests import sounds
from tests.e2e.harness import eventually
from tests.knative.on_cluster.deployed import OUTSIDE, Deployed, outside, request
from tests.knative.on_cluster.kubectl import get
from tests.manifests.rendering import ROOT

GO = ROOT / "tests" / "knative" / "cluster" / "go" / "knative"
PID = ROOT / ".cache" / "cluster" / "run" / "node.pid"

pytestmark = pytest.mark.timeout(900)


def make_cluster() -> str:
    return subprocess.run(["make", "cluster"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=800).stdout


def revisions() -> dict[str, str]:
    return {one["metadata"]["name"]: one["status"]["latestReadyRevisionName"] for one in get("ksvc")["items"]}


@pytest.mark.parametrize("command", [["go", "test", "./..."], ["go", "vet", "./..."], ["gofmt", "-l", "."]])
def test_our_ingress(command: list[str]) -> None:
    ran = subprocess.run(command, cwd=GO, check=True, capture_output=True, text=True, timeout=600)
    assert command[0] == "go" or ran.stdout == ""


def test_made_again_nothing_changes() -> None:
    before, pid = revisions(), PID.read_text()
    assert "failed" not in make_cluster()
    assert (revisions(), PID.read_text()) == (before, pid)


def test_killed_it_comes_back_with_its_songs(medley: Deployed) -> None:
    song = medley.client.separate(io.BytesIO(sounds.song("mp3", 2.2))).hash
    assert medley.ended(song)["status"] == "succeeded"
    pid = int(PID.read_text())
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    with pytest.raises(OSError):  # noqa: PT011  # of many kinds
        request(f"http://{OUTSIDE}/", timeout=5)
    make_cluster()
    assert outside("song", f"/apiv1/songs/{song}")[0] == 200
    assert medley.client.song(song)["status"] == "succeeded"
    medley.client.track(song, "vocals", io.BytesIO())
