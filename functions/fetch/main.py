"""GET /apiv1/track/<hash>/<track> and /apiv1/parts/<hash>/<stem>/<n>: the audio."""

import functions_framework
from flask import Request, Response

from functions.fetch.track import part, track
from medley import http
from medley.errors import MethodNotAllowed
from medley.settings import STORES, require

require(*STORES)


def handle(request: Request) -> Response:
    route, rest = http.path_of(request, track=(2,), parts=(3,))
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed("Audio can only be read, with GET or HEAD.", "GET", "HEAD")
    song = http.song_hash(rest[0])
    if route == "parts":
        return part(request, song, *rest[1:])
    return track(request, song, *rest[1:])


fetch = functions_framework.http(http.function("fetch", handle, ready=http.stores_ready))
