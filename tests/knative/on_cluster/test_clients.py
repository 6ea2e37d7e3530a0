"""What existing clients send, byte for byte: to the one host of the gateway, and to each function's own name."""

from collections.abc import Iterator

import pytest

from tests import sounds
from tests.e2e import test_clients as known
from tests.e2e.harness import listening
from tests.e2e.wire import API, Address, as_json, ask, text, upload
from tests.knative.on_cluster.deployed import DOMAIN, HOST, OUTSIDE, Deployed, address
from tests.knative.on_cluster.kubectl import NAMESPACE

SECONDS = {"gateway": 1.3, "function": 1.4}  # of audio: another song at each door


class Outside(known.Client):
    """Outside of the cluster."""

    def port(self, path: str) -> Address:
        return (address("gateway") if self.door == "gateway" else OUTSIDE), 80

    def host(self, path: str) -> str:
        return "localhost" if self.door == "gateway" else f"{self.function(path)}.{NAMESPACE}.{DOMAIN}"


@pytest.fixture(scope="module", params=["gateway", "function"])
def client(medley: Deployed, request: pytest.FixtureRequest) -> Iterator[known.Client]:
    """One whose song is separated."""
    with listening(HOST) as called:
        one = Outside(medley, request.param, called)
        answer = one.send("separate", sounds.song("mp3", SECONDS[one.door]))
        known.check(answer, "separate")
        one.song = answer.json["hash"]
        assert medley.ended(one.song)["status"] == "succeeded"
        yield one
        medley.client.remove(one.song)


# With this client, in this order
test_callback = known.test_the_callback_brings_back_the_data_unchanged
test_queue = known.test_queue_with_a_body
test_track = known.test_track
test_names_of_one_track_are_one_file = known.test_names_of_one_track_are_one_file
test_health = known.test_health
test_what_stands_in_redis = known.test_what_stands_in_redis


@pytest.mark.parametrize("name", known.UPLOADS)
def test_an_upload_again_is_the_same_song(client: known.Client, name: str) -> None:
    answer = client.send(name, sounds.song("mp3", SECONDS[client.door]))
    known.check(answer, name)
    assert answer.json["hash"] == client.song


def test_16_mb_pass_the_gateway() -> None:
    body, kind = as_json({"mp3": text(sounds.wav(sounds.samples(12_000_000 / 4 / sounds.RATE)))})
    gateway = (address("gateway"), 80)
    answer = upload(gateway, body, kind)
    assert answer.status == 200
    assert ask(gateway, "DELETE", f"{API}/remove/{answer.json['hash']}").status == 200


test_remove_is_last = known.test_remove_is_last
