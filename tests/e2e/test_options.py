"""How to separate a song: asked for in each form of an upload, shown, kept in the store, and part of its hash."""

import io
import json
from typing import Any

import pytest

from medley.names import Upload
from tests import sounds
from tests.contract.documents import faults
from tests.e2e.harness import Service, eventually
from tests.e2e.senders import form, raw, sent
from tests.e2e.wire import text

SONG = sounds.wav(sounds.samples(3.0))
ASKED = {"precision": "exact", "shifts": 0, "overlap": 0.1}
USUAL = {"precision": "auto", "shifts": 0, "overlap": 0.25}
FORMS = {
    "JSON": sent({"mp3": text(SONG), **ASKED}),
    "JSON of texts": sent({"mp3": text(SONG), "precision": "exact", "shifts": "", "overlap": "0.10"}),
    "form": form(file=SONG, precision="exact", shifts="0", overlap="1e-1"),
    "bare": raw(SONG, query="?precision=exact&overlap=.1"),
}


def asked(song: dict[str, Any]) -> dict[str, Any]:
    return {option: song[option] for option in USUAL}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_asks_for_the_same_song(service: Service, name: str) -> None:
    song = FORMS[name](service.local.about()["port"]).json["hash"]
    assert song == service.client.separate(io.BytesIO(SONG), precision="exact", overlap=0.1).hash
    ended = service.ended(song)
    assert (ended["status"], asked(ended)) == ("succeeded", ASKED)
    assert faults(ended, "Song") == []
    assert ended["computed"] == [{"part": 0, "precision": "exact", "device": "cpu"}]


def test_what_is_not_asked_for_is_as_usual_and_another_song(service: Service) -> None:
    usual = service.client.separate(io.BytesIO(SONG)).hash
    assert usual == service.client.separate(io.BytesIO(SONG), precision="auto", shifts=0, overlap=0.25).hash
    assert asked(service.ended(usual)) == USUAL
    others: list[dict[str, Any]] = [{"precision": "exact"}, {"shifts": 1}, {"overlap": 0.1}]
    assert usual not in {service.client.separate(io.BytesIO(SONG), **options).hash for options in others}


def test_a_lost_record_is_read_from_the_store_again(service: Service) -> None:
    before = service.ended(service.client.separate(io.BytesIO(SONG), precision="exact", overlap=0.1).hash)
    service.redis.delete(f"song:{before['hash']}")
    after = eventually(lambda: service.client.song(before["hash"]))
    assert {name: after[name] for name in (*USUAL, "model", "computed", "status")} == {
        name: before[name] for name in (*USUAL, "model", "computed", "status")
    }


def test_a_song_of_before_there_were_options_is_as_usual(service: Service) -> None:
    song = service.ended(service.client.separate(io.BytesIO(sounds.wav(sounds.samples(0.35)))).hash)["hash"]
    upload = Upload(song, service.record(song)["upload"])
    forget(service, upload.manifest, list(USUAL))
    forget(service, upload.done, ["computed"])
    service.redis.delete(f"song:{song}")
    after = eventually(lambda: service.client.song(song))
    assert (after["status"], asked(after), after["computed"]) == ("succeeded", USUAL, [])


def forget(service: Service, name: str, members: list[str]) -> None:
    """Writes an object without some of its members."""
    with service.s3.get_object(bucket_name="songs", object_name=name) as stored:
        known = json.load(stored)
    data = json.dumps({member: value for member, value in known.items() if member not in members}).encode()
    service.s3.put_object("songs", name, io.BytesIO(data), len(data))
