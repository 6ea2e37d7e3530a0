"""One attempt at a callback, beside what is asked for meanwhile."""

import threading

import pytest

from medley import settings, stores
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
