"""What happens to pods while a song is in work: the song ends once, and sounds as if nothing had happened."""

import io
import json
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.faults.stage import STEMS, agreement, music, stem_of
from tests.e2e.harness import eventually
from tests.knative.on_cluster.deployed import Deployed
from tests.knative.on_cluster.kubectl import get, kubectl
from tests.knative.on_cluster.node import kill

PARTS = 300  # of a song; 35 s of work on a quiet machine, longer than a new revision takes
EMPTY_CHUNK = b"junk\0\0\0\0"  # of a WAV file: other bytes, the same sound
LIMIT = 500  # s; a killed worker's song may wait for the next sweep, five minutes

pytestmark = pytest.mark.timeout(900)


def annotate(value: str | None) -> None:
    template = {"metadata": {"annotations": {"medley.dev/after": value}}}
    kubectl("patch", "ksvc", "separate", "--type=merge", "-p", json.dumps({"spec": {"template": template}}))


@pytest.fixture(scope="module", autouse=True)
def _as_deployed() -> Iterator[None]:
    yield
    annotate(None)


def new_revision(_: str) -> None:
    """As after a change of anything in its template."""
    before = get("ksvc", "separate")["status"]["latestReadyRevisionName"]
    annotate(before)
    eventually(lambda: get("ksvc", "separate")["status"]["latestReadyRevisionName"] != before, 120)


def pod_deleted(pod: str) -> None:
    kubectl("delete", "pod", pod, "--wait=false")


def pod_lost(pod: str) -> None:
    """As with its node: no time to give anything back."""
    kubectl("delete", "pod", pod, "--force", "--grace-period=0")


def container_killed(pod: str) -> None:
    """As for want of memory."""
    kill(pod, "user-container")


def worker_at(medley: Deployed, song: str) -> str:
    """The pod that has the song in work."""
    workers = medley.client.queue()["workers"]
    (id_,) = {one["id"] for one in workers if one["song"] == song}
    return str(id_.rpartition("-")[0])


@pytest.mark.parametrize(("number", "interrupt"), [*enumerate([new_revision, pod_deleted, pod_lost, container_killed])])
def test_the_song_ends_once(medley: Deployed, number: int, interrupt: Callable[[str], None]) -> None:
    audio = music(PARTS, seed=number)
    song = medley.client.separate(io.BytesIO(audio), format="wav").hash
    eventually(lambda: int(medley.record(song).get("parts", "0")) >= 5, LIMIT)
    interrupt(worker_at(medley, song))
    assert medley.record(song)["status"] == "processing"
    assert medley.ended(song, LIMIT)["status"] == "succeeded"
    undisturbed = medley.client.separate(io.BytesIO(audio + EMPTY_CHUNK), format="wav").hash
    assert undisturbed != song
    assert medley.ended(undisturbed, LIMIT)["status"] == "succeeded"
    eventually(lambda: medley.logged("song separated", [song]) == [song])  # the line may come later than the end
    for stem in STEMS:
        assert agreement(stem_of(medley, song, stem), stem_of(medley, undisturbed, stem)) >= 90, stem
