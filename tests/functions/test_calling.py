"""One attempt at a callback, beside what is asked for meanwhile."""

import threading

import pytest

from medley import names, settings, stores
from medley.callback import Callback
from medley.calling import attempt
from medley.names import Upload
from tests.e2e.harness import Called, eventually

UPLOAD = Upload("a" * 64, "first")
STORED = UPLOAD.callback("c")


@pytest.fixture
def due(empty_stores: None, called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback, `c`, of a finished song."""
    monkeypatch.setenv("CALLBACK_ALLOW", "any")
    settings.settings.cache_clear()
    stores.objects().put_json(STORED, {"url": called.url, "created": 1.0})
    stores.jobs().restore(UPLOAD, {"status": "succeeded"}, [Callback("c", called.url, created=1.0)])


def test_what_is_settled_leaves_the_store(due: None, called: Called) -> None:
    attempt("c")
    assert len(called.bodies) == 1
    assert stores.objects().stat(STORED) is None


def test_what_is_sent_again_meanwhile_stays_until_it_was(due: None, called: Called) -> None:
    called.delay = 0.5
    first = threading.Thread(target=attempt, args=("c",))
    first.start()
    eventually(lambda: called.bodies)
    assert stores.callbacks().again("c", UPLOAD.song) == "due"
    first.join()
    assert stores.objects().stat(STORED)
    attempt("c")
    assert len(called.bodies) == 2
    assert stores.objects().stat(STORED) is None


def test_it_tells_of_the_job_it_was_asked_for_also_when_the_song_is_uploaded_again(
    empty_stores: None, called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBACK_ALLOW", "any")
    settings.settings.cache_clear()
    about = {"model": "htdemucs", "outputs": "[]"}
    stores.jobs().accept(UPLOAD, about, 9, Callback("c", called.url, created=1.0))
    claim = stores.jobs().claim("token", 60.0)
    assert claim
    stores.jobs().finish(claim, "failed", "event", {"error": '{"type": "bad-audio", "detail": "damaged"}'})
    called.statuses = [500]
    attempt("c")
    stores.jobs().accept(Upload(UPLOAD.song, "second"), about, 9, None)
    stores.callbacks().again("c", UPLOAD.song)
    attempt("c")
    assert called.bodies[0]["error"] == {"type": "bad-audio", "detail": "damaged"}
    assert called.bodies[1] == called.bodies[0]


def test_stems_of_another_upload_are_not_told_as_its_own(due: None, called: Called) -> None:
    stores.redis().hset(names.song_key(UPLOAD.song), mapping={"upload": "second", "model": "htdemucs"})
    attempt("c")
    assert called.bodies[0]["stems"] == {}
