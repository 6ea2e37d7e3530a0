"""One song with the real model, from the weights of this machine."""

import io
from functools import partial

import numpy as np
import pytest

from functions.separate import weights
from tests.backends import missing
from tests.e2e.harness import eventually
from tests.e2e.test_stems import BAND, GOOD, full_scale, read, samples
from tests.knative.on_cluster.deployed import Deployed, awake, inside, pods, settings
from tests.knative.on_cluster.kubectl import kubectl
from tests.knative.on_cluster.running import workers

MODEL = "htdemucs"

pytestmark = pytest.mark.timeout(900)


def pod_with_weights() -> None:
    """Wakes a worker, and gives its volume what it would have from the component `weights`: pods have no way out."""
    folder = weights.folder_of("")
    if weights.find(MODEL, folder) is None:
        missing(f"the weights of {MODEL} (python -m functions.separate.weights)")
    assert inside("separate")[0] == 200
    (pod,) = [one for one in pods("separate") if "deletionTimestamp" not in one["metadata"]]
    kubectl("cp", f"{folder}/.", f"{pod['metadata']['name']}:/weights", "-c", "user-container")


def test_it_separates_a_song_well(medley: Deployed) -> None:
    with settings(MODELS=MODEL), workers("1"):
        with awake(partial(inside, "separate")):  # the volume is the pod's
            pod_with_weights()
            song = medley.client.separate(
                io.BytesIO((BAND / "mixture.flac").read_bytes()), model=MODEL, format="wav"
            ).hash
            eventually(lambda: medley.record(song).get("started"), 60)
        assert medley.ended(song, 600)["status"] == "succeeded"
        for stem, least in GOOD.items():
            file = io.BytesIO()
            medley.client.track(song, f"{stem}.wav", file)
            reference, estimate = read(stem).astype(np.float64), full_scale(samples(file.getvalue()))
            sdr = 10 * np.log10((reference**2).sum() / ((reference - estimate) ** 2).sum())
            assert sdr > least, stem
