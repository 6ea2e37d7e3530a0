"""What clients send by mistake or in bad faith: each is refused with words of its own, or is a song like any other."""

import contextlib
import io
import os
import socket
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests import sounds
from tests.contract.documents import faults
from tests.e2e.bad_input import LIMIT, MIB, REFUSED, SECONDS, WORKS, Refused
from tests.e2e.harness import Service, eventually
from tests.e2e.senders import SOUND, path
from tests.e2e.wire import API, Answer, ask, upload
from tests.witness import witness

RATE = 44100
ROOM = 16 * MIB  # by which memory may grow whatever the body


class Small(Service):
    """A service of its own: its limits are low, and whatever is left in its stores was left by these tests."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        limits = {"MAX_BYTES": str(LIMIT), "MAX_SECONDS": str(SECONDS), "KEEP_CANCELED_SECONDS": "1"}
        super().__init__(folder / "data", TMPDIR=str(self.temporary), **limits)

    def port(self, function: str = "") -> int:
        about = self.local.about()
        return int(about["functions"][function][0]["port"] if function else about["port"])

    def processes(self, function: str) -> list[int]:
        """A function's processes."""
        leader = self.local.pid(function)
        return [leader, *map(int, Path(f"/proc/{leader}/task/{leader}/children").read_text().split())]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    with Small(tmp_path_factory.mktemp("bad")) as running:
        yield running


def check(answer: Answer, case: Refused) -> None:
    assert (answer.status, answer.kind) == (case.status, "application/problem+json"), answer.body
    problem = answer.json
    assert faults(problem, "Problem") == []
    assert (problem["status"], problem["type"]) == (case.status, f"urn:medley:problem:{case.problem}")
    assert case.words in problem["detail"]
    assert len(problem["detail"]) < 1000


@pytest.mark.parametrize("name", REFUSED)
def test_refused(small: Small, name: str) -> None:
    case = REFUSED[name]
    check(case.send(small.port(case.at)), case)
    assert small.objects() == []
    assert small.redis.llen("toWorker") == 0


@pytest.mark.parametrize("name", WORKS)
def test_works(small: Small, name: str) -> None:
    case = WORKS[name]
    answer = case.send(small.port())
    assert (answer.status, faults(answer.json, "Accepted")) == (200, [])
    song = answer.json["hash"]
    assert small.ended(song)["error"] is None
    stem = ask(small.port(), "GET", f"{API}/track/{song}/vocals.wav")
    assert _frames(stem.body) == pytest.approx(case.seconds * RATE, abs=1 + case.within * RATE)
    assert _file_name(stem) == f"{case.name} - vocals.wav"
    assert ask(small.port(), "DELETE", f"{API}/remove/{song}").status == 200


@pytest.mark.parametrize("name", sounds.PLAYLISTS)
def test_a_playlist_opens_nothing(small: Small, name: str, tmp_path: Path) -> None:
    with witness(tmp_path, SOUND) as seen:
        for entries in ([seen.file], [seen.http], [str(seen.path)], [seen.file, seen.http]):
            for kind in ("audio/mpeg", "audio/x-mpegurl"):
                answer = upload(small.port(), sounds.PLAYLISTS[name](*entries), kind, "?song_name=list.m3u8")
                check(answer, Refused(path("", ""), 422, "bad-audio"))
    assert seen.seen == []


def test_the_witness_sees_who_comes(tmp_path: Path) -> None:
    with witness(tmp_path, SOUND) as seen:
        seen.path.read_bytes()
        socket.create_connection(("127.0.0.1", urlsplit(seen.http).port or 0)).close()
        eventually(lambda: "http" in seen.seen)
    assert set(seen.seen) == {"file", "http"}


@pytest.mark.parametrize("name", [name for name in REFUSED if "too large" in name])
def test_a_body_too_large_is_not_held_in_memory(small: Small, name: str) -> None:
    case = REFUSED[name]
    processes = [*small.processes("upload"), int(small.local.about()["pid"])]
    before = [_peak(pid, reset=True) for pid in processes]
    check(case.send(small.port(case.at)), case)
    grown = [_peak(pid) - was for pid, was in zip(processes, before, strict=True)]
    assert max(grown) < ROOM


@pytest.mark.parametrize("name", [name for name, case in REFUSED.items() if case.words in ("before", "broken")])
def test_a_client_that_breaks_off_is_not_taken_for_whole_by_the_gateway(small: Small, name: str) -> None:
    with contextlib.suppress(ConnectionError):  # whoever hung up gets no answer
        assert REFUSED[name].send(small.port()).status == 400


def test_after_all_of_them_nothing_is_left(small: Small) -> None:
    eventually(lambda: small.objects() == [] and not _songs(small))
    time.sleep(2.5)  # the grace time, and a sweep after it
    assert (small.objects(), _songs(small)) == ([], [])
    assert [file for file in small.temporary.rglob("*") if file.is_file()] == []
    for function in ("upload", "fetch", "separate"):
        open_files = [_open_files(pid) for pid in small.processes(function)[1:]]
        assert max(map(len, open_files)) <= 1, open_files  # gunicorn's own


def _frames(data: bytes) -> int:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 2, 2)
        return file.getnframes()


def _file_name(answer: Answer) -> str:
    """As a browser reads it: RFC 5987's form before the plain one."""
    header = answer.headers["Content-Disposition"]
    kind, _, encoded = header.partition("filename*=UTF-8''")
    assert kind.startswith("attachment; filename")
    if encoded:
        return unquote(encoded, errors="strict")
    quoted = header.partition("filename=")[2]
    return quoted[1:-1].replace('\\"', '"') if quoted.startswith('"') else quoted


def _peak(pid: int, *, reset: bool = False) -> int:
    """Bytes of memory that a process has had at most, since the last reset."""
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _songs(small: Small) -> list[str]:
    """What Redis knows of songs."""
    keys = [key for pattern in ("song:*", "lease:*", "callback:*") for key in small.redis.keys(pattern)]
    return keys + small.redis.lrange("toWorker", 0, -1) + [*small.redis.smembers("removing")]


def _open_files(pid: int) -> list[str]:
    """The temporary files that a process has open."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(link))
        except FileNotFoundError:  # closed meanwhile
            continue
    return [link for link in links if link.endswith("(deleted)") and not link.startswith("/memfd:")]
