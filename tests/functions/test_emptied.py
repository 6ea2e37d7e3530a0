"""Reading records again after Redis was emptied, in as many sweeps as it takes."""

import pytest

from functions.sweep import listing
from functions.sweep.listing import settle_objects
from medley import settings, stores
from medley.names import Upload
from medley.separation import Separation
from medley.song import Song

SONGS = [Upload(digit * 64, "first") for digit in "123"]  # in the order of a listing


@pytest.fixture
def stored(empty_stores: None) -> None:
    """Songs that S3 has and Redis knows nothing of, the last of the listing uploaded first."""
    for number, upload in enumerate(SONGS):
        about = Song("A song", Separation("demucs_unittest"), (), 320, "wav", 5, 1.5, created=9.0 - number)
        stores.objects().put_json(upload.manifest, about.record() | {"outputs": about.outputs})


def known() -> list[str]:
    return [upload.song for upload in SONGS if stores.jobs().get(upload.song)]


def test_all_are_queued_in_the_order_of_uploading(stored: None) -> None:
    settle_objects()
    assert stores.jobs().unheld(10) == [upload.song for upload in reversed(SONGS)]
    assert not stores.sweeps().emptied()


def test_a_sweep_without_time_goes_on_where_the_last_one_ended(stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SECONDS", 0.0)
    for count in (1, 2, 3):
        assert stores.sweeps().emptied()
        settle_objects()
        assert known() == [upload.song for upload in SONGS[:count]]
    settle_objects()
    assert not stores.sweeps().emptied()


def test_what_is_emptied_during_a_sweep_is_read_from_the_first_object(
    stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_objects()
    monkeypatch.setenv("SWEEP_PAGE", "1")
    settings.settings.cache_clear()
    settle = listing.settle

    def emptied_then(*song: object, emptied: bool) -> object:
        stores.redis().flushall()
        return settle(*song, emptied=emptied)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(listing, "settle", emptied_then)
        settle_objects()
    settle_objects()
    assert known() == [upload.song for upload in SONGS]
