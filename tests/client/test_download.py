"""Downloads that are cut, changed meanwhile, or named by somebody else."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medley.client import ClientError, Medley, MedleyProblem, Unreachable
from tests.client.service import Answer, Service, problem

AUDIO = os.urandom(700_000)
OTHER = os.urandom(600_000)
ROUTE = "GET /apiv1/track/abc/vocals"
TAG = {"ETag": '"one"'}


def rest(start: int, body: bytes = AUDIO) -> Answer:
    """The answer to a Range."""
    headers = {**TAG, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
    return Answer(206, body[start:], headers)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file(service: Service, medley: Medley, tmp_path: Path) -> None:
    service.on(ROUTE, Answer(200, AUDIO, TAG))
    seen: list[tuple[int, int | None]] = []
    path, size = medley.track("abc", "vocals", tmp_path / "v.mp3", bitrate=192, progress=lambda *n: seen.append(n))
    assert (path, size) == (tmp_path / "v.mp3", len(AUDIO))
    assert (tmp_path / "v.mp3").read_bytes() == AUDIO
    assert service.asked[0].query == {"bitrate": "192"}
    assert seen[-1] == (len(AUDIO), len(AUDIO))
    assert files(tmp_path) == ["v.mp3"]


def test_a_cut_download_goes_on_after_its_last_byte(service: Service, medley: Medley, tmp_path: Path) -> None:
    service.on(ROUTE, Answer(200, AUDIO, TAG, cut=300_000), rest(300_000))
    medley.track("abc", "vocals", tmp_path / "v.mp3")
    assert (tmp_path / "v.mp3").read_bytes() == AUDIO
    assert service.asked[1].headers["Range"] == "bytes=300000-"
    assert service.asked[1].headers["If-Range"] == '"one"'
    assert files(tmp_path) == ["v.mp3"]


def test_a_download_that_is_rendered_meanwhile_is_cut_too(service: Service, medley: Medley, tmp_path: Path) -> None:
    service.on(ROUTE, Answer(200, AUDIO, TAG, cut=300_000, chunked=True), rest(300_000))
    medley.track("abc", "vocals", tmp_path / "v.mp3")
    assert (tmp_path / "v.mp3").read_bytes() == AUDIO


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("no etag", [Answer(200, AUDIO, cut=9), Answer(200, AUDIO)]),
        ("weak etag", [Answer(200, AUDIO, {"ETag": 'W/"one"'}, cut=9), Answer(200, AUDIO)]),
        ("another file by now", [Answer(200, OTHER, TAG, cut=9), Answer(200, AUDIO, {"ETag": '"two"'})]),
        ("shorter by now", [Answer(200, OTHER, TAG, cut=9), problem(416, "bad-range"), Answer(200, AUDIO)]),
        ("another range than asked", [Answer(200, OTHER, TAG, cut=9), rest(5), Answer(200, AUDIO)]),
    ],
)
def test_a_cut_download_begins_anew(
    service: Service, medley: Medley, tmp_path: Path, name: str, answers: list[Answer]
) -> None:
    service.on(ROUTE, *answers)
    medley.track("abc", "vocals", tmp_path / "v.mp3")
    assert (tmp_path / "v.mp3").read_bytes() == AUDIO, name


def test_a_download_that_is_cut_for_good_leaves_nothing(service: Service, medley: Medley, tmp_path: Path) -> None:
    (tmp_path / "v.mp3").write_bytes(b"what was there")
    service.on(ROUTE, Answer(200, AUDIO, cut=300_000))
    with pytest.raises(Unreachable):
        medley.track("abc", "vocals", tmp_path / "v.mp3")
    assert files(tmp_path) == ["v.mp3"]
    assert (tmp_path / "v.mp3").read_bytes() == b"what was there"
    assert len(service.asked) == 5


def test_a_song_that_is_removed_meanwhile(service: Service, medley: Medley, tmp_path: Path) -> None:
    service.on(ROUTE, Answer(200, AUDIO, TAG, cut=300_000), problem(404, "not-found"))
    with pytest.raises(MedleyProblem):
        medley.track("abc", "vocals", tmp_path / "v.mp3")
    assert files(tmp_path) == []


def test_into_an_open_file(service: Service, medley: Medley) -> None:
    service.on(ROUTE, Answer(200, OTHER, cut=300_000), Answer(200, AUDIO))
    file = io.BytesIO()
    file.write(b"head")
    assert medley.track("abc", "vocals", file) == (None, len(AUDIO))
    assert file.getvalue() == b"head" + AUDIO


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=\"a.mp3\"; filename*=UTF-8''%F0%9F%8E%B5%20-%20vocals.mp3", "🎵 - vocals.mp3"),
        ('attachment; filename="../../etc/passwd"', "_.._etc_passwd"),
        ("attachment", "vocals"),
        ("", "vocals"),
    ],
)
def test_into_a_folder_under_the_services_name(
    service: Service, medley: Medley, tmp_path: Path, disposition: str, name: str
) -> None:
    service.on(ROUTE, Answer(200, AUDIO, {"Content-Disposition": disposition}))
    assert medley.track("abc", "vocals", tmp_path)[0] == tmp_path / name


def test_a_file_in_a_folder_is_not_replaced(service: Service, medley: Medley, tmp_path: Path) -> None:
    service.on(ROUTE, Answer(200, AUDIO, {"Content-Disposition": 'attachment; filename="v.mp3"'}))
    for _ in range(3):
        medley.track("abc", "vocals", tmp_path)
    assert files(tmp_path) == ["v-2.mp3", "v-3.mp3", "v.mp3"]


class Pipe(io.BytesIO):
    """What has no way back."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError("a pipe has no place")


def test_what_cannot_be_rewound_goes_on_but_never_begins_anew(service: Service, medley: Medley) -> None:
    service.on(ROUTE, Answer(200, AUDIO, TAG, cut=300_000), rest(300_000))
    pipe = Pipe()
    medley.track("abc", "vocals", pipe)
    assert pipe.getvalue() == AUDIO
    service.on(ROUTE, Answer(200, OTHER, cut=300_000), Answer(200, AUDIO))
    with pytest.raises(ClientError, match="rewound"):
        medley.track("abc", "vocals", Pipe())


def test_a_pipe_is_written_to_and_never_replaced(service: Service, medley: Medley, tmp_path: Path) -> None:
    service.on(ROUTE, Answer(200, AUDIO, TAG))
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        medley.track("abc", "vocals", tmp_path / "pipe")
        assert read.result(10) == AUDIO
    assert (tmp_path / "pipe").is_fifo()


def test_through_a_link(service: Service, medley: Medley, tmp_path: Path) -> None:
    service.on(ROUTE, Answer(200, AUDIO, TAG))
    (tmp_path / "link").symlink_to(tmp_path / "there")
    medley.track("abc", "vocals", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_bytes() == AUDIO
