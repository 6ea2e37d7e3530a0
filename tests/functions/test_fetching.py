"""Files that are rendered into the answer."""

import gc
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from functions.fetch import rendering
from medley import delivery, names, parts, stores
from medley.names import Upload
from medley.separation import Separation
from medley.song import Done, Song
from tests.e2e.harness import eventually
from tests.functions.doors import opened
from tests.sounds import samples

UPLOAD = Upload("a" * 64, "first")
VOCALS = f"{names.API}/track/{UPLOAD.song}/vocals"
STEMS = ("drums", "bass", "other", "vocals")


# A rendering's file is closed when neither it nor anybody who asked for it is left.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture
def fetch(empty_stores: None) -> Iterator[FlaskClient]:
    """With a finished song of which nothing is rendered yet."""
    sound = (samples(1.0) * parts.SCALE).astype(np.int32)
    length = sound.shape[1]
    done = Done(1, length, length, 44100, STEMS, "demucs_unittest", "r", "exact", "cpu", 1, dict.fromkeys(STEMS, 0))
    stores.objects().put(UPLOAD.part("r", "vocals", 0), parts.encode(sound))
    stores.objects().put_json(UPLOAD.done, asdict(done))
    about = Song("A song", Separation("demucs_unittest"), (), 320, "wav", 5, 1.0, created=1.0).record()
    stores.jobs().restore(UPLOAD, {**about, **done.record(), "status": "succeeded"}, ())
    yield opened("fetch")
    gc.collect()


def test_a_range_that_is_the_whole_is_answered_while_it_is_rendered(fetch: FlaskClient) -> None:
    """Nobody knows its length then, nor has it an ETag."""
    rendered = fetch.get(VOCALS, headers={"Range": "bytes=0-"})
    assert rendered.status_code == 200
    assert not {"Content-Length", "Content-Range", "ETag"} & set(rendered.headers.keys())
    eventually(lambda: stores.objects().stat(UPLOAD.rendered("vocals.mp3")))
    stored = fetch.get(VOCALS, headers={"Range": "bytes=0-"})
    assert (stored.status_code, stored.data) == (200, rendered.data)


def test_a_range_of_what_is_not_rendered_yet_waits_for_it(fetch: FlaskClient) -> None:
    some = fetch.get(VOCALS, headers={"Range": "bytes=5-8"})
    whole = fetch.get(VOCALS)
    assert (some.status_code, some.data) == (206, whole.data[5:9])
    assert some.headers["Content-Range"] == f"bytes 5-8/{len(whole.data)}"


def test_a_file_whose_stem_is_removed_while_it_is_rendered_does_not_stay(
    fetch: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = delivery.render

    def removed_meanwhile(*about: Any) -> Iterator[bytes]:
        yield from render(*about)
        stores.jobs().remove_track(UPLOAD.song, "vocals", "event")

    monkeypatch.setattr(delivery, "render", removed_meanwhile)
    assert fetch.get(VOCALS).status_code == 200
    eventually(lambda: not rendering._running)
    assert stores.objects().stat(UPLOAD.rendered("vocals.mp3")) is None
    assert stores.jobs().get(UPLOAD.song).files == {}  # type: ignore[union-attr]


def test_a_rendering_that_cannot_even_begin_is_told_and_leaves_its_place(
    fetch: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where what it is rendered with cannot be loaded for want of memory."""
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "medley.delivery", None)
        assert fetch.get(VOCALS).status_code == 500
        eventually(lambda: not rendering._running)
    assert fetch.get(VOCALS).status_code == 200


@pytest.mark.parametrize("bitrate", ["1" * 5000, "321", "-320", "320.0", "٣٢٠", " 320"])
def test_a_bitrate_that_is_not_offered_is_told(fetch: FlaskClient, bitrate: str) -> None:
    answer = fetch.get(VOCALS, query_string={"bitrate": bitrate})
    assert (answer.status_code, answer.get_json(force=True)["offered"][-1]) == (422, 320)
