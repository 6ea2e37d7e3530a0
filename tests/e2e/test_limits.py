"""Settings that limit, sign, allow and expire; and servers that run already."""

import contextlib
import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from medley.callback import sign
from medley.client import MedleyProblem
from tests import sounds
from tests.backends import KEY, SECRET, redis_like, s3_like
from tests.e2e.harness import Called, Service, eventually

SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DAY = 86400


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One song in the queue, bodies of a megabyte at a time, songs kept for a quarter of a minute."""
    environment = {"MAX_QUEUE": "1", "MAX_BYTES_IN_FLIGHT": "1000000", "KEEP_DAYS": str(15 / DAY)}
    data = tmp_path_factory.mktemp("limited") / "data"
    with Service(data, **environment, CALLBACK_SECRET=SIGNING) as service:
        yield service


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: dict[str, str]


def upload(service: Service, seconds: float, callback: str = "") -> Answer:
    """Uploads a song that is like no other of another length."""
    path = "/apiv1/separate" + (f"?callback={callback}" if callback else "")
    song = sounds.wav(sounds.samples(seconds))
    with contextlib.closing(http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=30)) as connection:
        connection.request("POST", path, song, {"Content-Type": "audio/wav"})
        with connection.getresponse() as response:
            return Answer(response.status, dict(response.headers), json.loads(response.read()))


def refusal(answer: Answer) -> tuple[int, str, bool]:
    """Status, the problem's type, and whether it says when to try again."""
    return answer.status, answer.body.get("type", "").rpartition(":")[2], "Retry-After" in answer.headers


def accepted(answer: Answer) -> str:
    assert answer.status == 200
    return answer.body["hash"]


def test_a_full_queue_takes_no_song_but_those_it_knows(limited: Service) -> None:
    limited.local.signal("separate", signal.SIGSTOP)
    try:
        song = accepted(upload(limited, 2.0))
        assert refusal(upload(limited, 2.1)) == (503, "queue-full", True)
        assert accepted(upload(limited, 2.0)) == song
    finally:
        limited.local.signal("separate", signal.SIGCONT)
    assert limited.ended(song)["status"] == "succeeded"
    assert len({name.split("/")[0] for name in limited.objects()}) == 1  # nothing of the one that was refused


def test_bodies_in_flight_are_capped(limited: Service) -> None:
    port = limited.local.about()["functions"]["upload"][0]["port"]
    head = b"POST /apiv1/separate HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: 900000\r\n\r\n"

    def refused() -> bool:
        """Beside a body that does not come; which of the two is refused depends on who was first."""
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(head + bytes(1000))
            time.sleep(0.2)
            return refusal(upload(limited, 2.2)) == (503, "too-many-uploads", True)

    eventually(refused)
    song = eventually(lambda: accepted(upload(limited, 2.2)))
    assert limited.ended(song)["status"] == "succeeded"


def test_callbacks_are_signed(limited: Service, called: Called) -> None:
    song = accepted(upload(limited, 2.3, called.url))
    eventually(lambda: called.requests)
    headers, body = called.requests[0], json.dumps(called.bodies[0]).encode()
    signed = sign(SIGNING, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signed
    assert (headers["medley-hash"], headers["medley-status"]) == (song, "succeeded")


def test_songs_expire(limited: Service) -> None:
    song = accepted(upload(limited, 2.4))
    assert limited.ended(song)["status"] == "succeeded"
    eventually(lambda: limited.client.song(song)["status"] == "canceled")
    eventually(lambda: not limited.objects())


def test_it_runs_on_servers_that_are_there_and_calls_only_whom_it_may(tmp_path: Path, called: Called) -> None:
    for name in ("redis", "s3"):
        (tmp_path / name).mkdir()
    with redis_like("valkey", tmp_path / "redis") as url, s3_like("seaweedfs", tmp_path / "s3") as endpoint:
        keys = {"S3_ACCESS_KEY": KEY, "S3_SECRET_KEY": SECRET}
        stores = {"REDIS_URL": url, "S3_ENDPOINT": endpoint, "CALLBACK_ALLOW": "10.0.0.0/8"}
        with Service(tmp_path / "data", **keys, **stores) as service:
            assert service.local.about()["servers"] == {}
            song = accepted(upload(service, 2.0, called.url))
            assert service.ended(song)["status"] == "succeeded"
            (call,) = eventually(lambda: [one for one in service.client.callbacks(song) if one["attempts"]])
            assert (call["state"], len(call["attempts"])) == ("refused", 1)
            with pytest.raises(MedleyProblem):
                service.client.call_again(song, "nothing")
    assert called.requests == []
