"""DELETE /apiv1/remove/<hash>[/<track>]: removes a song and cancels its job, or removes one track of a finished one."""

import functions_framework
from flask import Request, Response

from functions.delete.remove import remove_one, remove_whole
from medley import http
from medley.errors import MethodNotAllowed
from medley.settings import STORES, require

require(*STORES)


def handle(request: Request) -> Response:
    _, rest = http.path_of(request, remove=(1, 2))
    if request.method != "DELETE":
        raise MethodNotAllowed("Songs and tracks are removed with DELETE.", "DELETE")
    song = http.song_hash(rest[0])
    track = rest[1] if len(rest) == 2 else None
    reason = remove_whole(song) if track is None else remove_one(song, track)
    return http.reply({"hash": song, "track": track, "reason": reason})


delete = functions_framework.http(http.function("delete", handle, ready=http.stores_ready))
