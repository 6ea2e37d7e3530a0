"""What existing clients send, byte for byte, through the gateway and at each function's own port."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from medley import names
from tests import sounds
from tests.contract.documents import examples, faults
from tests.e2e.harness import MODEL, Called, Service, eventually, listening
from tests.e2e.wire import API, Address, Answer, as_json, ask, exchange, request, text, upload

REQUESTS = examples("clients")
TRACKS = [name for name in REQUESTS if name.startswith("track-")]
QUEUES = [name for name in REQUESTS if name.startswith("queue")]
UPLOADS = [name for name in REQUESTS if name.startswith("separate")]
MINE = {"mp3": "data/short-hop.mp3", "data": "to be returned"}  # the callback's data in those uploads


@dataclass
class Client:
    """Who sends these requests, by one of two doors. Only what is of one service is filled in."""

    service: Service
    door: str
    called: Called
    song: str = ""

    def send(self, name: str, audio: bytes = b"") -> Answer:
        asked = REQUESTS[name]["request"]
        body = self._filled(asked.get("body", ""), audio).encode()
        length = [("Content-Length", str(len(body)))] if body else []
        line = asked["line"].replace("{hash}", self.song)
        method, path, _ = line.split()
        head = request(line, [*asked["headers"], *length], self.host(path))
        return exchange(self.port(path), [head, body], method)

    def port(self, path: str) -> Address:
        about = self.service.local.about()
        return int(about["port"] if self.door == "gateway" else about["functions"][self.function(path)][0]["port"])

    def host(self, path: str) -> str:
        return "localhost"

    def function(self, path: str) -> str:
        """Whose path it is."""
        return names.ROUTES[path.split("/")[2]] if path != "/" else "upload"

    def _filled(self, body: str, audio: bytes) -> str:
        body = body.replace("{mp3}", text(audio)).replace('"htdemucs"', f'"{MODEL}"')
        return body.replace("http://localhost:5000", self.called.url)


@pytest.fixture(scope="module", params=["gateway", "function"])
def client(service: Service, request: pytest.FixtureRequest) -> Iterator[Client]:
    """One whose song is separated."""
    with listening() as called:
        one = Client(service, request.param, called)
        answer = one.send("separate", sounds.song("mp3", 1.0 if one.door == "gateway" else 1.2))
        check(answer, "separate")
        one.song = answer.json["hash"]
        assert service.ended(one.song)["status"] == "succeeded"
        yield one


def check(answer: Answer, name: str) -> None:
    expected: dict[str, Any] = REQUESTS[name]["answer"]
    assert answer.status == expected["status"], answer.body
    for header, value in expected.get("headers", {}).items():
        assert answer.headers[header] == value
    if "schema" in expected:
        assert answer.kind == "application/json"
        assert faults(answer.json, expected["schema"]) == []


def test_none_is_left_out() -> None:
    assert {*TRACKS, *QUEUES, *UPLOADS, "health", "remove"} == set(REQUESTS)


@pytest.mark.parametrize("name", UPLOADS)
def test_upload(client: Client, name: str) -> None:
    answer = client.send(name, sounds.song("mp3", 1.0 if client.door == "gateway" else 1.2))
    check(answer, name)
    assert answer.json["hash"] == client.song
    assert isinstance(answer.json["reason"], str)


def test_the_callback_brings_back_the_data_unchanged(client: Client) -> None:
    eventually(lambda: client.called.bodies)
    assert client.called.bodies[0] == MINE
    assert client.called.requests[0]["content-type"] == "application/json"


@pytest.mark.parametrize("name", QUEUES)
def test_queue_with_a_body(client: Client, name: str) -> None:
    assert REQUESTS[name]["request"]["body"] == "null"
    check(client.send(name), name)


@pytest.mark.parametrize("name", TRACKS)
def test_track(client: Client, name: str) -> None:
    answer = client.send(name)
    check(answer, name)
    assert answer.body[0] == 0xFF  # MP3's sync word
    assert answer.body[1] & 0xE0 == 0xE0


def test_names_of_one_track_are_one_file(client: Client) -> None:
    assert client.send("track-base-mp3").body == client.send("track-bass-mp3").body
    assert client.send("track-vocals").body == client.send("track-vocals-mp3").body
    assert client.send("track-vocals").body != client.send("track-bass-mp3").body


def test_health(client: Client) -> None:
    check(client.send("health"), "health")


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_health_of_every_function(service: Service, function: str) -> None:
    answer = ask(int(service.local.about()["functions"][function][0]["port"]), "GET", "/")
    assert (answer.status, answer.json) == (200, {"function": function})


def test_16_mb_pass(client: Client) -> None:
    body, kind = as_json({"mp3": text(sounds.wav(sounds.samples(12_000_000 / 4 / sounds.RATE)))})
    assert len(body) > 16_000_000
    answer = upload(client.port(f"{API}/separate"), body, kind)
    assert answer.status == 200
    assert ask(client.port(f"{API}/remove"), "DELETE", f"{API}/remove/{answer.json['hash']}").status == 200


def test_what_stands_in_redis(client: Client) -> None:
    assert client.service.redis.type("logging") == "list"
    line = eventually(lambda: _accepted(client.service.redis.lrange("logging", 0, -1), client.song))
    assert re.fullmatch(rf"[^.]+(\.[^.]+)*\.upload\.info:song accepted .*hash={client.song}.*", line)


def _accepted(lines: list[str], song: str) -> str:
    return next((line for line in lines if "song accepted" in line and song in line), "")


def test_remove_is_last(client: Client) -> None:
    answer = client.send("remove")
    check(answer, "remove")
    assert answer.json["track"] == "vocals"
    assert client.send("track-vocals").status == 404
    assert json.loads(client.send("track-vocals").body)["type"] == "urn:medley:problem:not-found"
    assert client.send("track-drums").status == 200
