"""What knative/README.md tells an operator to type works: from the first deployment to the last removal."""

import contextlib
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from medley import names
from tests.backends import free_port
from tests.e2e.harness import eventually
from tests.knative.on_cluster.kubectl import get, kubectl, until
from tests.knative.on_cluster.page import NAMESPACE, Page, blocks, commands
from tests.manifests.rendering import ROOT

BLOCKS = blocks()
NOT_RUN = {  # and why
    "make images push": "there is no registry",
    "kubectl -n medley patch pvc": "the volumes here are folders, which have no size to change",
}


def block(begins: str) -> str:
    """The page's block that begins so."""
    (found,) = (text for first, text in BLOCKS.items() if first.startswith(begins))
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    subprocess.run([ROOT / "tests/knative/cluster/volumes.sh"], check=True)  # it gives again what earlier runs had
    yield Page(tmp_path_factory.mktemp("operator"))
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", namespace="default")


def ask(page: Page, path: str) -> dict[str, object]:
    """What the gateway answers. It may be away for a while, where its pod or all the others were ended."""
    found: list[dict[str, object]] = []

    def answers() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(page.gateway + path, timeout=20) as answer:
            found.append(json.load(answer))
        return bool(found)

    until(120, answers)
    return found[0]


def status(page: Page) -> object:
    return ask(page, f"/apiv1/songs/{page.song}")["status"]


def test_it_is_deployed_by_kn(page: Page) -> None:
    told = page.run(block("make manifests OVERLAY=one-gpu"))
    assert re.findall(r"^(\w+) .* True", told.rpartition("NAME")[2], re.M) == sorted(names.FUNCTIONS)
    kubectl("wait", "trigger", "--all", "--for=condition=Ready", "--timeout=120s", namespace=NAMESPACE)


def test_a_song_is_uploaded_and_asked_for(page: Page) -> None:
    upload, state = block("curl -s -H 'Content-Type: audio/mpeg'").splitlines()
    page.song = json.loads(page.run(upload))["hash"]
    assert json.loads(page.run(state))["hash"] == page.song
    until(120, lambda: status(page) == "succeeded")


def test_the_gateway_is_forwarded(page: Page) -> None:
    port = free_port()
    command = page.script("exec " + block("kubectl -n medley port-forward").replace("5000:80", f"{port}:80"))
    with subprocess.Popen(command, cwd=page.folder, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        forward.stdout.readline()  # it listens
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert json.load(answer)["service"] == "medley"
        forward.terminate()


def test_an_event_is_sent_by_hand(page: Page) -> None:
    assert page.run(block("kubectl -n medley exec -i deployment/gateway")) == "202\n"


@pytest.mark.parametrize("command", [*commands("Watch it"), *commands("When something is wrong")])
def test_it_is_watched(page: Page, command: str) -> None:
    page.run(command)


def test_a_song_is_in_the_log(page: Page) -> None:
    told = page.run(block("kubectl -n medley exec redis-0 -- valkey-cli lrange"))
    assert {"upload", "separate"} <= set(re.findall(r"\.(\w+)\.info:", told))


def test_what_would_change_is_shown(page: Page) -> None:
    """diff ends with 1 where there are differences."""
    page.run(block("make manifests OVERLAY=many-gpus").rstrip() + " || test $? = 1")


def test_pods_read_their_settings_again(page: Page) -> None:
    patch = json.dumps({"data": {"MODELS": "htdemucs,demucs_unittest"}})
    kubectl("patch", "configmap", "medley", "--type=merge", "-p", patch, namespace=NAMESPACE)
    page.run(block("kubectl -n medley delete pod"))
    upload = "curl -s -F file=@song.mp3 -F model=htdemucs http://upload.medley.example.com/apiv1/separate"
    # For half a minute pods that were told to end may answer, as they would have before.
    asked = json.loads(eventually(lambda: page.run(upload), 60, pause=1))["hash"]
    # No way out leads from here to the weights, and that is told.
    until(120, lambda: "cannot load the model" in str(ask(page, "/apiv1/queue")["workers"]))
    assert asked in str(ask(page, "/apiv1/queue")["queue"])


def test_the_queue_is_emptied(page: Page) -> None:
    assert ask(page, "/apiv1/queue")["queue"]
    page.run(block("curl -s $HOST/apiv1/queue").replace("curl", "command curl"), HOST=page.gateway)
    assert ask(page, "/apiv1/queue")["queue"] == []


def test_a_secret_is_rotated_and_nothing_is_lost(page: Page) -> None:
    before = get("secret", "medley-stores", namespace=NAMESPACE)["data"]
    page.run(block("kubectl -n medley delete secret"))
    assert get("secret", "medley-stores", namespace=NAMESPACE)["data"]["S3_SECRET_KEY"] != before["S3_SECRET_KEY"]
    kubectl("wait", "pod", "redis-0", "s3-0", "--for=condition=Ready", "--timeout=120s", namespace=NAMESPACE)
    until(120, lambda: status(page) == "succeeded")
    with urllib.request.urlopen(f"{page.gateway}/apiv1/track/{page.song}/vocals", timeout=60) as answer:
        assert len(answer.read()) > 100_000


@pytest.mark.timeout(600)  # the next ping comes within five minutes
def test_records_are_read_again(page: Page) -> None:
    page.run(block("kubectl -n medley exec redis-0 -- valkey-cli flushall"))
    eventually(lambda: status(page) == "succeeded", 400, pause=2)


def test_an_old_revisions_pod_is_ended(page: Page) -> None:
    assert "separate-00001" in page.run(block("kubectl -n medley get revision"))


@pytest.mark.timeout(600)  # pods end in their own time
def test_all_is_removed_and_comes_again_with_its_songs(page: Page) -> None:
    undeploy, delete = block("make undeploy").splitlines()
    page.run(undeploy)
    assert get("ksvc,broker,trigger,pingsource", namespace=NAMESPACE)["items"] == []
    page.run(undeploy.replace("undeploy", "deploy"))
    until(60, lambda: status(page) == "succeeded")
    page.run(delete)
    assert NAMESPACE not in kubectl("get", "namespaces", "-o", "name")


def test_no_block_is_left_out() -> None:
    source = Path(__file__).read_text()
    told = set(re.findall(r'block\("([^"]+)"\)', source)) | set(NOT_RUN)
    assert [first for first in BLOCKS if not any(first.startswith(begins) for begins in told)] == []
