"""A song's way through the functions' processes, one step after the other, with no Broker between them."""

import http.client
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import starting
from benchmarks.service import ask
from benchmarks.sizing.backbone import Backbone
from medley import names

CLOUD_EVENT = {"Content-Type": "application/cloudevents+json"}
PATIENCE = 600.0  # s


def event(event_type: str, data: dict[str, Any]) -> bytes:
    """In the JSON format of CloudEvents."""
    about = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/benchmarks", "type": event_type}
    return json.dumps({**about, "datacontenttype": "application/json", "data": data}).encode()


def post(port: int, event: bytes) -> None:
    """Hands an event to a function, as its Trigger would. Raises RuntimeError unless it is done with 2xx."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("POST", "/", event, CLOUD_EVENT)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"an event was answered with {answer.status}: {body[:300]!r}")


@contextmanager
def function(backbone: Backbone, name: str) -> Iterator[int]:
    """The port of a function's own process."""
    with starting.started(backbone, name) as (port, _, _):
        yield port


def upload(backbone: Backbone, *songs: bytes, content_type: str = "audio/wav") -> list[str]:
    """Their hashes."""
    with function(backbone, "upload") as port:
        return [str(ask(port, "POST", "/apiv1/separate", song, content_type)["hash"]) for song in songs]


def separate(backbone: Backbone, song: str) -> None:
    """Everything that waits, until nothing does."""
    with function(backbone, "separate") as port:
        post(port, event(names.SONG_UPLOADED, {"hash": song}))


def replace(backbone: Backbone, song: str, file: str, size: int) -> None:
    """Puts a file of another size in the place of one of the song's."""
    upload = names.Upload(song, backbone.redis.hget(names.song_key(song), "upload"))
    backbone.objects.put(upload.prefix + file, bytes(size), content_type="application/octet-stream")
