"""GET /apiv1/songs/<hash>: how a song is getting on. POST .../callbacks/<id>: call a client once more."""

import functions_framework
from flask import Request, Response

from functions.song.again import call_again
from functions.song.view import view
from medley import http, stores
from medley.errors import MethodNotAllowed, NotFound
from medley.settings import require

require("redis_url")


def handle(request: Request) -> Response:
    _, rest = http.path_of(request, songs=(1, 3))
    hash_ = http.song_hash(rest[0])
    if len(rest) == 3:
        return _again(request, hash_, rest)
    if request.method not in ("GET", "HEAD"):
        detail = "A song's state can only be read, with GET; DELETE /apiv1/remove/<hash> removes it."
        raise MethodNotAllowed(detail, "GET", "HEAD")
    job = stores.jobs().get(hash_)
    if job is None:
        raise NotFound("There is no song with this hash; upload it.")
    return http.reply(view(job))


def _again(request: Request, hash_: str, rest: list[str]) -> Response:
    if rest[1] != "callbacks":
        raise NotFound(f"There is nothing at {request.path[:200]!r}.")
    if request.method != "POST":
        raise MethodNotAllowed("A callback is sent once more with POST.", "POST")
    reason = call_again(hash_, rest[2])
    return http.reply({"hash": hash_, "callback": rest[2], "reason": reason})


song = functions_framework.http(http.function("song", handle, ready=http.redis_ready))
