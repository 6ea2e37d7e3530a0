"""What becomes of songs when functions, or what is around them, fail."""

from typing import Any

from medley import names
from tests.e2e.faults.crowds import at_once
from tests.e2e.faults.stage import music
from tests.e2e.faults.stores import SHORT
from tests.e2e.faults.worker import SONG
from tests.e2e.harness import eventually
from tests.knative.place import Place
from tests.knative.world import Mode, encoded, event, post

BURST = 50


def uploaded(song: str) -> dict[str, Any]:
    """The event that announces a song."""
    return event(names.SONG_UPLOADED, data={"hash": song}, subject=song)


def send(place: Place, sent: dict[str, Any], mode: Mode = "structured") -> int:
    return post(place.running.broker_url, *encoded(sent, mode))


def whole(place: Place) -> None:
    """From upload to callback, the way through the Broker: the client is told once."""
    song = place.post(SHORT, callback=place.called.url)
    place.succeeded(song)
    eventually(lambda: place.called.bodies)
    assert [body["status"] for body in place.called.bodies] == ["succeeded"]


def five_times(place: Place) -> None:
    """The same event five times is one result."""
    song = place.post(SONG, callback=place.called.url)
    sent = uploaded(song)
    assert (
        at_once([lambda: send(place, sent), lambda: send(place, sent, "binary")] * 2 + [lambda: send(place, sent)])
        == [202] * 5
    )
    assert place.succeeded(song)["segments_computed"] == 16
    eventually(lambda: place.called.bodies)
    place.settle()
    assert place.said("song separated", song) == place.said("song claimed", song) == 1
    assert len(place.called.bodies) == 1


def killed(place: Place) -> None:
    """Killed in the middle of a song: another attempt goes on where it was."""
    song = place.post(SONG)
    place.parts(song, 4)
    place.running.kill("separate")
    assert place.succeeded(song)["segments_computed"] <= 16 + 2


def terminated(place: Place) -> None:
    """Scaled down in the middle of a song: it is given back, the attempt not counted, and another goes on."""
    song = place.post(SONG)
    place.parts(song, 4)
    place.running.terminate("separate")
    record = place.service.record(song)
    assert record["attempts"] in ("0", "1")  # 1 where another has it already
    assert place.said("song given back", song) == 1
    assert place.succeeded(song)["segments_computed"] <= 16 + 1


def longer_than_the_limit(place: Place) -> None:
    """Many times longer than one request may take: attempt after attempt, each announced by the one before."""
    song = place.post(SONG)
    ended = place.succeeded(song)
    place.said("song separated", song)  # the last that is said of it
    claims = place.said("song claimed", song)
    assert claims >= 10
    assert ended["segments_computed"] <= 16 + 2 * claims


def two_songs(place: Place) -> None:
    """Two songs at one worker, which takes one after the other, the older one first."""
    first, second = place.post(music(8, seed=1)), place.post(music(8, seed=2))
    for song in (first, second):
        place.succeeded(song)
    records = [place.service.record(song) for song in (first, second)]
    assert float(records[0]["finished"]) <= float(records[1]["started"])


def burst(place: Place) -> None:
    """Fifty uploads at once, each announced: each song is separated once, and nothing is left."""
    songs = at_once([lambda i=i: place.post(music(1, seed=i + 1)) for i in range(BURST)])
    assert len(set(songs)) == BURST
    for song in songs:
        assert place.service.ended(song, 300)["status"] == "succeeded"
    place.settle()
    for song in songs:
        assert len(place.lines("song separated", song)) <= 1  # of a crowd of lines the Broker may refuse some


def broker_away(place: Place) -> None:
    """Uploads are taken while no Broker is there, and announced when it is back."""
    with place.running.broker_away():
        song = place.post(SONG, callback=place.called.url)
    place.running.ping()
    place.succeeded(song)
    eventually(lambda: place.called.bodies)


def broker_away_at_the_end(place: Place) -> None:
    """A song ends while no Broker is there: the client is told all the same, and the event comes later."""
    song = place.post(SONG, callback=place.called.url)
    place.parts(song, 4)
    with place.running.broker_away():
        place.succeeded(song)
        eventually(lambda: place.called.bodies)
        assert place.service.redis.zcard(names.OUTBOX) == 1
    place.settle()
    assert place.service.redis.zcard(names.OUTBOX) == 0
    eventually(lambda: place.lines("song separated", song, "logsink"))
    assert len(place.called.bodies) == 1


def ping(place: Place) -> None:
    """PingSource's event wakes sweep, which announces what nobody heard of."""
    with place.running.broker_away():
        song = place.post(SHORT)
    assert place.service.client.song(song)["status"] == "queued"
    eventually(lambda: place.running.ping() == 204)  # 503 while the Broker is not quite back: the event comes again
    place.succeeded(song)
