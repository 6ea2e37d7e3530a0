"""A playlist in place of a song makes nothing be opened: no file, no address."""

import io
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import pytest

from medley import demux
from medley.audio import decode, probe
from medley.errors import BadAudio
from tests import sounds

LIMIT = 7200.0


@pytest.fixture
def opened() -> list[str]:
    """What was opened although nothing should be."""
    return []


@pytest.fixture
def address(opened: list[str]) -> Iterator[str]:
    """A server that notes each connection, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        def hang_up() -> None:
            server.accept()[0].close()

        with watching(hang_up, "connection", opened):
            yield f"http://127.0.0.1:{server.getsockname()[1]}/song.mp3"


@pytest.fixture
def bait(tmp_path: Path, opened: list[str]) -> Iterator[str]:
    """A named pipe that notes each reader, and ends at once."""
    path = tmp_path / "bait.wav"
    os.mkfifo(path)
    # Opening it for writing fails as long as nobody reads.
    with watching(lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)), "file", opened):
        yield str(path)


@contextmanager
def watching(attempt: Callable[[], None], what: str, opened: list[str]) -> Iterator[None]:
    """Notes `what` whenever the attempt works."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            with suppress(OSError):
                attempt()
                opened.append(what)

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    stop.wait(0.01)
    stop.set()
    thread.join()


@pytest.fixture(params=["as usual", "unrecognised"])
def lookout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without the first look at the bytes, which is only for the words of the refusal."""
    if request.param == "unrecognised":
        monkeypatch.setattr(demux, "MISTAKES", ())


class Named(io.BytesIO):
    """A file with a name that FFmpeg would go by."""

    name = "list.m3u8"


@pytest.mark.usefixtures("lookout")
@pytest.mark.parametrize("kind", sounds.PLAYLISTS)
def test_playlists_open_nothing(kind: str, address: str, bait: str, opened: list[str]) -> None:
    playlist = sounds.PLAYLISTS[kind](bait, f"file://{bait}", address)
    for look in (lambda file: probe(file, LIMIT), lambda file: decode(file, io.BytesIO())):
        with pytest.raises(BadAudio):
            look(Named(playlist))
    time.sleep(0.01)
    assert opened == []


def test_a_demuxer_that_opens_files_would_be_given_none(
    bait: str, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last defence: FFmpeg's list of playlists takes names without a folder for safe."""
    monkeypatch.chdir(Path(bait).parent)
    monkeypatch.setattr(demux, "MISTAKES", ())
    monkeypatch.setattr(demux, "DEMUXERS", demux.DEMUXERS | {"concat": ""})
    with pytest.raises(BadAudio):
        probe(io.BytesIO(f"ffconcat version 1.0\nfile {Path(bait).name}\n".encode()), LIMIT)
    time.sleep(0.01)
    assert opened == []


def test_opening_would_be_noticed(address: str, bait: str, opened: list[str]) -> None:
    with open(bait, "rb") as file:
        file.read(1)
    with pytest.raises(OSError, match=r"closed|reset"):
        urllib.request.urlopen(address)
    time.sleep(0.01)
    assert set(opened) == {"connection", "file"}


def test_the_file_is_nameless_to_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(demux.av, "open", lambda file, **_: seen.append(file) or (_ for _ in ()).throw(ValueError))
    with pytest.raises(BadAudio):
        probe(Named(sounds.wav()), LIMIT)
    assert not hasattr(seen[0], "name")


def test_no_decoder_of_pictures_sees_what_was_uploaded() -> None:
    """Looking for a stream's parameters FFmpeg would decode some frames of it, whatever is asked for later."""
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as lines, pytest.raises(BadAudio):
            probe(io.BytesIO(sounds.video_without_audio()), LIMIT)
    finally:
        av.logging.set_level(None)
    assert any("not on whitelist" in line for _, _, line in lines)
