"""What happens to pods while a song is in work: the song ends once, and sounds as if nothing had happened."""

import io
import json
from collections.abc import Callable

import pytest

from tests.e2e.faults.stage import STEMS, agreement, music, stem_of
from tests.e2e.harness import eventually
from tests.knative.on_cluster.deployed import Deployed, pods
from tests.knative.on_cluster.kubectl import get, kubectl
from tests.knative.on_cluster.node import kill

PARTS = 60  # of a song; some 15 s of work
EMPTY_CHUNK = b"junk\0\0\0\0"  # of a WAV file: other bytes, the same sound
LIMIT = 300

pytestmark = pytest.mark.timeout(900)


def new_revision() -> None:
    """As after a change of anything in its template."""
    before = get("ksvc", "separate")["status"]["latestReadyRevisionName"]
    token = before.rpartition("-")[2]
    template = {"metadata": {"annotations": {"medley.dev/rolled-out-after": token}}}
    kubectl("patch", "ksvc", "separate", "--type=merge", "-p", json.dumps({"spec": {"template": template}}))
    eventually(lambda: get("ksvc", "separate")["status"]["latestReadyRevisionName"] != before, 120)


def pod_deleted() -> None:
    kubectl("delete", "pod", working(), "--wait=false")


def pod_killed() -> None:
    """As when its node is lost: no time to give anything back."""
    kubectl("delete", "pod", working(), "--force", "--grace-period=0")


def container_killed() -> None:
    """As for want of memory."""
    kill(working(), "user-container")


def working() -> str:
    """The pod of the worker at the song."""
    (pod,) = [pod for pod in pods("separate") if "deletionTimestamp" not in pod["metadata"]]
    return str(pod["metadata"]["name"])


@pytest.mark.parametrize(
    ("number", "interrupt"), enumerate([new_revision, pod_deleted, pod_killed, container_killed])
)
def test_the_song_ends_once(medley: Deployed, number: int, interrupt: Callable[[], None]) -> None:
    audio = music(PARTS, seed=number)
    song = medley.client.separate(io.BytesIO(audio), format="wav").hash
    eventually(lambda: int(medley.record(song).get("parts", "0")) >= 5, LIMIT)
    interrupt()
    assert medley.record(song)["status"] == "processing"
    assert medley.ended(song, LIMIT)["status"] == "succeeded"
    assert medley.logged("song separated", [song]) == [song]
    undisturbed = medley.client.separate(io.BytesIO(audio + EMPTY_CHUNK), format="wav").hash
    assert undisturbed != song
    assert medley.ended(undisturbed, LIMIT)["status"] == "succeeded"
    for stem in STEMS:
        assert agreement(stem_of(medley, song, stem), stem_of(medley, undisturbed, stem)) >= 90, stem
