"""The Python client against a server that says no, says it late, or hangs up."""

import errno
import io
import os
import pickle
import socket
from pathlib import Path

import pytest

from medley.client import Accepted, ClientError, Medley, MedleyProblem, Unreachable
from medley.client.errors import BadCall
from tests.client.service import Answer, Service, as_json, example, problem

SONG = example("song-succeeded")
HASH = SONG["hash"]
SEPARATE = "POST /apiv1/separate"


@pytest.fixture
def mp3(tmp_path: Path) -> Path:
    path = tmp_path / "My Song.mp3"
    path.write_bytes(os.urandom(1_000_000))
    return path


def test_a_song_goes_as_a_bare_body_with_its_options_in_the_query(service: Service, medley: Medley, mp3: Path) -> None:
    service.on(SEPARATE, as_json({"hash": HASH, "reason": "Song enqueued for separation"}))
    seen: list[tuple[int, int | None]] = []
    answer = medley.separate(
        mp3,
        stems=["vocals", "drums"],
        format="flac",
        bitrate=192,
        precision="fast",
        shifts=0,
        overlap=0.0,
        callback="http://a/b?c=1&d",
        progress=lambda *n: seen.append(n),
    )
    assert answer == Accepted(HASH, "Song enqueued for separation")
    asked = service.asked[0]
    assert asked.body == mp3.read_bytes()
    assert asked.headers["Content-Type"] == "audio/mpeg"
    assert asked.query == {
        "song_name": "My Song",
        "stems": "vocals,drums",
        "format": "flac",
        "bitrate": "192",
        "precision": "fast",
        "shifts": "0",
        "overlap": "0.0",
        "callback": "http://a/b?c=1&d",
    }
    assert seen[-1] == (1_000_000, 1_000_000)
    assert len(seen) > 4


def test_what_is_not_said_is_left_to_the_service(service: Service, medley: Medley) -> None:
    service.on(SEPARATE, as_json(example("separate-raw")))
    medley.separate(io.BytesIO(b"audio"))
    assert service.asked[0].query == {}
    assert service.asked[0].body == b"audio"


def test_an_open_file_is_sent_from_where_it_stands(service: Service, medley: Medley) -> None:
    service.on(SEPARATE, as_json(example("separate-raw")))
    file = io.BytesIO(b"headaudio")
    file.seek(4)
    medley.separate(file, name="x" * 10_000)
    assert service.asked[0].body == b"audio"
    assert service.asked[0].query["song_name"] == "x" * 150


def test_a_pipe_is_no_song(medley: Medley) -> None:
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as pipe, pytest.raises(BadCall):
        medley.separate(pipe)


def test_a_full_queue_is_waited_out_and_the_song_sent_again_whole(service: Service, mp3: Path) -> None:
    service.on(SEPARATE, problem(503, "queue-full", **{"Retry-After": "0"}), as_json(example("separate-raw")))
    said: list[str] = []
    assert Medley(service.url, say=said.append).separate(mp3).hash == HASH
    assert [asked.body == mp3.read_bytes() for asked in service.asked] == [True, True]
    assert said == ["It is so. Trying again in 0 s."]


@pytest.mark.parametrize(
    ("headers", "tries"),
    [
        ({"Retry-After": "0"}, 4),
        ({}, 1),
        ({"Retry-After": "86400"}, 1),
        ({"Retry-After": "soon"}, 1),
        ({"Retry-After": "Wed, 21 Oct 99999999999 07:28:00 GMT"}, 1),
    ],
)
def test_waiting_has_an_end(service: Service, medley: Medley, headers: dict[str, str], tries: int) -> None:
    service.on("GET /apiv1/queue", problem(503, "unavailable", **headers))
    with pytest.raises(MedleyProblem):
        medley.queue()
    assert len(service.asked) == tries


def test_a_problem_is_told_as_the_service_tells_it(service: Service, medley: Medley) -> None:
    service.on(f"GET /apiv1/songs/{HASH}", problem(404, "not-ready", "Wait.", **{"Retry-After": "7"}))
    with pytest.raises(MedleyProblem) as caught:
        medley.song(HASH)
    error = caught.value
    assert (error.status, error.type, error.slug) == (404, "urn:medley:problem:not-ready", "not-ready")
    assert (error.title, error.detail, error.retry_after) == ("not-ready", "Wait.", 7.0)
    assert error.members == {"more": 1}
    assert str(error) == "Wait."


def test_errors_come_whole_out_of_another_process(service: Service, medley: Medley, nowhere: str) -> None:
    service.on(f"GET /apiv1/songs/{HASH}", problem(404, "not-ready", "Wait.", **{"Retry-After": "7"}))
    for client in (medley, Medley(nowhere)):
        with pytest.raises(ClientError) as caught:
            client.song(HASH)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), str(again), vars(again)) == (type(caught.value), str(caught.value), vars(caught.value))


def test_a_file_that_cannot_be_read_is_not_the_services_fault(service: Service, medley: Medley) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100_000:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(50_000)

    with pytest.raises(OSError, match="Input/output error"):
        medley.separate(Broken(bytes(200_000)))


def test_a_date_in_retry_after_is_seconds_from_now(service: Service, medley: Medley) -> None:
    service.on("GET /apiv1/queue", problem(404, "not-ready", **{"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}))
    with pytest.raises(MedleyProblem) as caught:
        medley.queue()
    assert (caught.value.retry_after or 0) > 1e9


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Answer(502, b"<h1>Bad\nGateway</h1>"), "<h1>Bad Gateway</h1>"),
        (Answer(500), "The answer was 500 Internal Server Error"),
        (Answer(301, b"", {"Location": "https://x/"}), "It redirects to https://x/; use that address."),
        (Answer(400, b'["no object"]'), '["no object"]'),
    ],
)
def test_a_proxys_answer_is_a_problem_too(service: Service, medley: Medley, answer: Answer, detail: str) -> None:
    service.on("GET /apiv1/queue", answer)
    with pytest.raises(MedleyProblem) as caught:
        medley.queue()
    assert (caught.value.status, caught.value.type, caught.value.detail) == (answer.status, "about:blank", detail)


def test_no_connection_names_the_address(nowhere: str) -> None:
    with pytest.raises(Unreachable, match=f"{nowhere} cannot be reached: is the service running there"):
        Medley(nowhere).queue()


def test_silence_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unreachable, match="does not answer in time"):
            Medley(url, timeout=0.2).queue()


@pytest.mark.parametrize("answer", [Answer(200, b"<html>"), as_json([]), as_json({"reason": 1})])
def test_another_service_at_the_address_is_found_out(service: Service, medley: Medley, answer: Answer) -> None:
    service.on(SEPARATE, answer)
    with pytest.raises(Unreachable, match="another service"):
        medley.separate(io.BytesIO(b"audio"))


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:99999", "http://x/?q=1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(BadCall):
        Medley(url)


def test_an_address_needs_no_scheme(service: Service) -> None:
    service.on("GET /apiv1/queue", as_json({"queue": [], "workers": []}))
    assert Medley(service.url.removeprefix("http://") + "/").queue()["queue"] == []


@pytest.mark.parametrize("hash_", ["", ".", ".."])
def test_a_hash_never_leads_to_another_route(service: Service, medley: Medley, hash_: str) -> None:
    with pytest.raises(BadCall):
        medley.remove(hash_)
    assert service.asked == []


def test_odd_characters_stay_in_their_segment(service: Service, medley: Medley) -> None:
    service.on("DELETE /apiv1/remove/a/b?c#d", as_json({"hash": "a/b", "track": None, "reason": "Song removed"}))
    assert medley.remove("a/b?c#d") == "Song removed"


def test_a_song_is_waited_for_also_while_the_service_restarts(service: Service, medley: Medley) -> None:
    cut = Answer(200, b"{}", cut=0)
    service.on(f"GET /apiv1/songs/{HASH}", as_json(example("song-processing")), cut, cut, as_json(SONG))
    seen: list[str] = []
    assert medley.wait(HASH, lambda song: seen.append(song["status"]), poll=0.001) == SONG
    assert seen == ["processing", "succeeded"]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_song_is_waited_for_also_while_a_gateway_finds_nobody(service: Service, medley: Medley, status: int) -> None:
    away = Answer(status, b"<html>")
    service.on(f"GET /apiv1/songs/{HASH}", *[away] * 4, as_json(example("song-processing")), *[away] * 4, as_json(SONG))
    assert medley.wait(HASH, poll=0.001) == SONG
    service.on(f"GET /apiv1/songs/{HASH}", *[away] * 5, as_json(SONG))
    with pytest.raises(MedleyProblem):
        medley.wait(HASH, poll=0.001)


def test_a_song_that_is_not_there_is_not_waited_for(service: Service, medley: Medley) -> None:
    service.on(f"GET /apiv1/songs/{HASH}", problem(404, "not-found"), as_json(SONG))
    with pytest.raises(MedleyProblem):
        medley.wait(HASH, poll=0.001)


def test_a_function_that_broke_off_is_asked_once_more_where_that_changes_nothing(
    service: Service, medley: Medley
) -> None:
    away = problem(502, "no-answer", **{"Retry-After": "0"})
    service.on("GET /apiv1/queue", away, as_json({"queue": [], "workers": []}))
    assert medley.queue()["queue"] == []
    service.on(f"DELETE /apiv1/remove/{HASH}", away, as_json(example("remove-song")))
    with pytest.raises(MedleyProblem):
        medley.remove(HASH)


def test_waiting_for_a_service_that_is_gone_has_an_end(nowhere: str) -> None:
    with pytest.raises(Unreachable):
        Medley(nowhere).wait(HASH, poll=0.001)


def test_the_other_calls(service: Service, medley: Medley) -> None:
    service.on(f"GET /apiv1/songs/{HASH}", as_json(SONG))
    service.on(f"GET /apiv1/parts/{HASH}/vocals/3", Answer(200, b"fLaC"))
    service.on(f"DELETE /apiv1/remove/{HASH}/vocals", as_json(example("remove-track")))
    service.on(f"POST /apiv1/songs/{HASH}/callbacks/x", as_json(example("call-again")))
    assert medley.song(HASH) == SONG
    assert medley.part(HASH, "vocals", 3) == b"fLaC"
    assert medley.remove(HASH, "vocals") == "Track removed"
    assert medley.callbacks(HASH) == SONG["callbacks"]
    assert medley.call_again(HASH, "x") == "Callback is sent once more"


def test_every_error_is_a_client_error() -> None:
    assert all(issubclass(error, ClientError) for error in (BadCall, MedleyProblem, Unreachable))
