"""Songs of a model that was plugged in once and is not installed any more."""

import pytest

from functions.sweep.settle import settle
from medley import names, stores
from medley.names import Upload
from medley.separation import Separation
from medley.song import Done, Song
from tests.functions.doors import opened

UPLOAD = Upload("a" * 64, "first")
ABOUT = Song("A song", Separation("masks"), (), 320, "wav", 5, 1.5, created=1.0).record()
DONE = Done(1, 9, 9, 9, ("voice", "rest"), "masks", "r", "exact", "cpu", 1, {"voice": 0, "rest": 2})
VOICE = UPLOAD.rendered("voice.mp3")
REST = [UPLOAD.part("r", "rest", 0), UPLOAD.rendered("no_voice.wav")]
TRACK, PARTS = f"{names.API}/track/{UPLOAD.song}", f"{names.API}/parts/{UPLOAD.song}"
WAITS = Upload("b" * 64, "first")  # a song that the model never got to


@pytest.fixture
def stored(empty_stores: None) -> None:
    for name in (UPLOAD.part("r", "voice", 0), VOICE, *REST):
        stores.objects().put(name, name.encode())
    fields = {**ABOUT, **DONE.record(), f"{names.FILE}voice.mp3": 5, "status": "succeeded"}
    stores.jobs().restore(UPLOAD, fields, ())
    stores.jobs().restore(WAITS, {**ABOUT, "status": "queued"}, ())


def there() -> set[str]:
    return {stat.name for stat in stores.objects().list()}


def test_its_state_tells_its_stems(stored: None) -> None:
    song = opened("song").get(f"{names.API}/songs/{UPLOAD.song}").get_json(force=True)
    assert [stem["stem"] for stem in song["stems"]] == ["rest", "voice"]
    assert [file["file"] for file in song["stems"][1]["files"]] == ["voice.mp3"]
    assert opened("song").get(f"{names.API}/songs/{WAITS.song}").get_json(force=True)["stems"] == []


def test_what_is_stored_is_sent_and_what_is_not_known_is_not_found(stored: None) -> None:
    fetch = opened("fetch")
    assert fetch.get(f"{TRACK}/voice").data == VOICE.encode()
    assert fetch.get(f"{PARTS}/rest/0").data == REST[0].encode()
    assert fetch.get(f"{TRACK}/vocals").status_code == 404
    for path in (f"track/{WAITS.song}/voice", f"parts/{WAITS.song}/voice/0"):
        assert fetch.get(f"{names.API}/{path}").status_code == 404


def test_a_stem_is_removed_with_every_file_made_of_it(stored: None) -> None:
    assert opened("delete").delete(f"{names.API}/remove/{UPLOAD.song}/rest").status_code == 200
    assert there() == {VOICE, UPLOAD.part("r", "voice", 0)}
    assert opened("delete").delete(f"{names.API}/remove/{WAITS.song}/rest").status_code == 404
    assert opened("delete").delete(f"{names.API}/remove/{UPLOAD.song}").status_code == 200
    assert there() == set()


def test_a_sweep_settles_it(stored: None) -> None:
    settle(UPLOAD.song, list(stores.objects().list()), emptied=False)
    job = stores.jobs().get(UPLOAD.song)
    assert job
    assert sorted(job.files) == ["no_voice.wav", "voice.mp3"]
