"""What every function does with a request: health, errors, the path; handlers only translate."""

import functools
import json
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import flask
from flask import Request, Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request as WerkzeugRequest

from medley import events, logs, names, stores
from medley.errors import BadRange, BadRequest, Crash, MedleyError, MethodNotAllowed, NotFound, TooLarge, Unavailable
from medley.settings import settings

Handler = Callable[[Request], Response]
DRAIN = 64 * 1024  # bytes read at a time from a body nobody wants
# bytes of an error: at more, Knative's dispatcher (eventing 0.49) ends by a panic, with all that it has in hand
LONGEST = 768

draining = threading.Event()  # set on SIGTERM: what takes minutes stops at its next safe point


def function(name: str, handler: Handler, *, ready: Callable[[], None]) -> Handler:
    """A function as functions-framework calls it: `handler`, and around it what is the same for all.

    `ready` raises until the stores have answered once. Then the process is ready; a later outage of theirs is a 503.
    """
    logs.begin(name)
    seen = ReadyOnce(ready)

    @functools.wraps(handler)
    def answer(request: Request) -> Response:
        events.follow(request.headers.get("traceparent", ""))
        try:
            if request.path == "/" and request.method in ("GET", "HEAD"):
                return reply({"function": name})
            if request.path == "/ready":
                seen.check()
                return reply({"ready": True})
            return _answered(handler, request)
        except Exception as error:
            return problem(translate(error), request)

    return answer


def _answered(handler: Handler, request: Request) -> Response:
    """The handler's answer; what ails a store or the Broker the log is told, and whoever asked is not."""
    try:
        return handler(request)
    except Unavailable as error:
        if error.__cause__:
            logs.note("unavailable", error=logs.why(error))
        raise


class ReadyOnce:
    """Readiness that, once reached, stays: a pod that is taken away cannot say what is wrong.

    One request at a time looks. Knative's queue-proxy asks every 150 ms and waits for 100 ms: where a store does not
    answer for seconds, all threads would soon be looking, and the container be killed because `/` is not answered.
    """

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._was = False
        self._looking = threading.Lock()

    def check(self) -> None:
        """Raises Unavailable while it is not ready, or not known yet to be."""
        if self._was:
            return
        if not self._looking.acquire(blocking=False):
            raise Unavailable("The stores are being looked for.", retry_after=1)
        try:
            self._ready()
            self._was = True
        except MedleyError as error:
            logs.note(f"not ready: {error.detail}", error=logs.why(error))
            raise
        finally:
            self._looking.release()


def redis_ready() -> None:
    stores.redis().ping()


def stores_ready() -> None:
    stores.redis().ping()
    stores.objects().ready()


def translate(error: Exception) -> MedleyError:
    """Any exception as one that has an answer."""
    if isinstance(error, MedleyError):
        return error
    if isinstance(error, RequestEntityTooLarge):
        return TooLarge(
            f"The body is larger than this service takes: a song of {settings().max_bytes} bytes; in a form 1000 parts,"
            f" and {WerkzeugRequest.max_form_memory_size} bytes in each of its fields."
        )
    if isinstance(error, HTTPException) and (error.code or 500) < 500:
        if error.code == 404:
            return NotFound("There is nothing at this path.")
        return BadRequest(error.description or "The request cannot be read.")
    logs.error("crash", error=logs.why(error), trace=traceback.format_exc(limit=-8))
    return Crash("This is our fault, not yours; the log says more. Trying again may help.")


def refused(error: HTTPException) -> Response:
    """What functions-framework refuses before a function is asked: `/robots.txt`, or a path with a line break."""
    request = flask.request._get_current_object()  # type: ignore[attr-defined]  # outlives this call, as streams do
    return problem(translate(error), request)


def reply(value: object, status: int = 200) -> Response:
    """A JSON answer. It is a stream because functions-framework reads what is left of a body before any other."""
    body = json.dumps(value).encode()
    response = Response(iter((body,)), status, content_type="application/json")
    response.headers["Content-Length"] = str(len(body))
    return response


def done() -> Response:
    """An empty 2xx: to a Broker, everything else but an event would be an error."""
    return Response(iter(()), 204)


def problem(error: MedleyError, request: Request) -> Response:
    """The RFC 9457 answer, and after it the rest of the body.

    A body is read to its end, in pieces, because many clients read the answer only when they have sent everything; the
    answer is a stream because functions-framework would else read that body into memory.
    """
    body = _short(error.problem())

    def stream() -> Iterator[bytes]:
        if request.method != "HEAD":
            yield body
        drain(request)

    response = Response(stream(), error.status, content_type="application/problem+json")
    response.headers["Content-Length"] = str(len(body))
    if isinstance(error, BadRange):
        response.headers["Content-Range"] = f"bytes */{error.members['size']}"
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.methods)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _short(problem: dict[str, Any]) -> bytes:
    """The problem in JSON, its detail cut so that the whole is not too long."""
    detail = problem["detail"][:LONGEST]
    while len(body := json.dumps({**problem, "detail": detail}).encode()) > LONGEST and detail:
        detail = detail[:-1]
    return body


def drain(request: Request) -> None:
    """Reads what is left of a body and forgets it, up to twice the largest song; what is more is cut off."""
    left = 2 * settings().max_bytes
    try:
        body = request.environ["wsgi.input"]  # `request.stream` may be at its limit
        while left > 0 and (piece := body.read(min(DRAIN, left))):
            left -= len(piece)
    except Exception:  # gunicorn has one for each way in which a body can be broken
        return  # or the client has gone, which is what we waited for


def path_of(request: Request, **routes: tuple[int, ...]) -> tuple[str, list[str]]:
    """The route and the rest of a path `/apiv1/<route>/<rest>...`, with or without a slash at its end.

    `routes` are those answered, each with the numbers of segments that its rest may have. Raises NotFound.
    """
    api, _, below = request.path.strip("/").partition("/")
    route, *rest = below.split("/")
    if f"/{api}" != names.API or len(rest) not in routes.get(route, ()):
        raise NotFound(f"There is nothing at {request.path[:200]!r}.")
    return route, rest


def song_hash(text: str) -> str:
    """A hash from a path. Raises NotFound when it is none."""
    if not names.is_hash(text):
        raise NotFound(f"{text[:80]!r} is not the hash of a song: that has 64 hexadecimal digits.")
    return text


def event_handler(types: tuple[str, ...], act: Callable[[Any], None]) -> Handler:
    """A handler for events of these types, or any: returning is done, raising says whether to try again."""

    def handle(request: Request) -> Response:
        event = events.read(request, types)
        events.follow(str(event["traceparent"]) if "traceparent" in event else "")
        act(event)
        return done()

    return handle
