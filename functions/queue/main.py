"""GET /apiv1/queue: the songs waiting or being worked on, oldest first, and the workers at them."""

import functions_framework
from flask import Request, Response

from medley import http, stores
from medley.errors import MethodNotAllowed
from medley.settings import require

require("redis_url")


def handle(request: Request) -> Response:
    http.path_of(request, queue=(0,))
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed("The queue can only be read, with GET.", "GET", "HEAD")
    return http.reply({"queue": stores.jobs().queue(), "workers": stores.jobs().workers()})


queue = functions_framework.http(http.function("queue", handle, ready=http.redis_ready))
