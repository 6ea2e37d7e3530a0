"""Removing, where a store fails in the middle of it."""

import pytest

from functions.delete.remove import remove_one, remove_whole
from functions.sweep.sweep import finish_removals
from medley import settings, stores
from medley.errors import NotFound
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song
from tests.backends import free_port

UPLOAD = Upload("a" * 64, "first")
STEM = UPLOAD.part("recipe", "vocals", 0)


@pytest.fixture
def finished(empty_stores: None) -> None:
    """A finished song with one part."""
    about = Song("A song", Separation("demucs_unittest"), (), 320, "wav", 5, 1.5, created=1.0).record()
    stores.objects().put_json(UPLOAD.manifest, about)
    stores.objects().put(STEM, b"audio")
    stores.jobs().restore(UPLOAD, {"status": "succeeded", **about}, ())


@pytest.fixture
def s3_away(finished: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    _forget_connections()


def _s3_is_back(monkeypatch: pytest.MonkeyPatch, servers: dict[str, str]) -> None:
    monkeypatch.setenv("S3_ENDPOINT", servers["S3_ENDPOINT"])
    _forget_connections()


def _forget_connections() -> None:
    settings.settings.cache_clear()
    stores.objects.cache_clear()


def stored() -> list[str]:
    return [stat.name for stat in stores.objects().list()]


def test_a_song_whose_objects_cannot_be_removed_now_is_removed_later(
    s3_away: None, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remove_whole(UPLOAD.song) == "Song removed"
    with pytest.raises(NotFound):
        remove_whole(UPLOAD.song)
    _s3_is_back(monkeypatch, servers)
    finish_removals()
    assert stored() == []


def test_a_track_whose_objects_cannot_be_removed_now_is_removed_later(
    s3_away: None, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remove_one(UPLOAD.song, "vocals") == "Track removed"
    _s3_is_back(monkeypatch, servers)
    finish_removals()
    assert stored() == [UPLOAD.manifest]
