"""POST /apiv1/separate: takes a song and queues it."""

import functions_framework
from flask import Request, Response

from functions.upload.accept import accept, check_room, join, known
from functions.upload.options import check
from functions.upload.read import reading
from medley import http
from medley.errors import MethodNotAllowed
from medley.settings import STORES, require

limits = require(*STORES)


def handle(request: Request) -> Response:
    http.path_of(request, separate=(0,))
    if request.method != "POST":
        raise MethodNotAllowed("Songs are uploaded with POST.", "POST")
    from medley.audio import probe  # loads av and numpy: the process is ready before

    with reading(request) as asked:
        options = check(asked.options)
        job = known(asked, options)
        reason = join(job, options.callback) if job else None
        if job and reason:
            return http.reply({"hash": job.song, "reason": reason})
        check_room()
        song, reason = accept(asked, options, probe(asked.file, limits.max_seconds))
        return http.reply({"hash": song, "reason": reason})


upload = functions_framework.http(http.function("upload", handle, ready=http.stores_ready))
