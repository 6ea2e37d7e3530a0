"""Uploading a song that is known."""

import io
from pathlib import Path

import pytest

from functions.upload import accept
from functions.upload.options import check
from functions.upload.read import Asked
from medley import stores
from medley.audio import probe
from medley.names import Upload
from medley.song import Song, song_hash
from tests import sounds

OPTIONS = check({})
SONG = song_hash("0" * 64, OPTIONS.separation)


def asked() -> Asked:
    audio = sounds.wav()
    return Asked(io.BytesIO(audio), len(audio), "0" * 64, "A song", {})


@pytest.fixture
def succeeded(empty_stores: None) -> Upload:
    upload = Upload(SONG, "first")
    about = Song("A song", OPTIONS.separation, (), 320, "wav", 5, 1.5, 1.0).record()
    stores.jobs().restore(upload, {**about, "status": "succeeded"}, ())
    return upload


def test_one_that_is_separated_is_not_separated_again(succeeded: Upload) -> None:
    stores.objects().put_json(succeeded.done, {})
    job = accept.known(asked(), OPTIONS)
    assert job is not None
    assert accept.join(job, None) == "Song was uploaded before; its stems are ready"


def test_a_callback_that_is_refused_leaves_nothing(succeeded: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stores.jobs().get(SONG)
    assert job is not None
    callback = check({"callback": {"url": "http://client.example/"}}).callback
    stores.jobs().remove(SONG, "event")  # meanwhile
    assert accept.join(job, callback) is None
    assert list(stores.objects().list()) == []


def test_one_whose_objects_are_gone_is(succeeded: Upload, tmp_path: Path) -> None:
    """Redis may have been set back to before their removal, by a failover or a crash."""
    assert accept.known(asked(), OPTIONS) is None
    (tmp_path / "song.wav").write_bytes(sounds.wav())
    with (tmp_path / "song.wav").open("rb") as file:
        assert accept.accept(asked(), OPTIONS, probe(file, 60))[1] == "Song enqueued for separation"
    job = stores.jobs().get(SONG)
    assert job is not None
    assert job.status == "queued"
    assert job.upload_id != succeeded.id
