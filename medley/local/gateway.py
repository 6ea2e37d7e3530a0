"""The one port that clients know: routes below /apiv1/ to their functions, and answers `/` itself."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import HttpVersion11, hdrs, web

from medley import names
from medley.errors import MedleyError, MethodNotAllowed, NotFound
from medley.local import origin
from medley.local.log import Log
from medley.local.revision import Revision

# Headers of one connection, not of the message that passes through (RFC 9110, 7.6.1). Expect is answered here.
HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect")
)
ANSWERED = web.RequestKey("answered", web.StreamResponse)  # the answer whose head is out


class Gateway:
    """The gateway. Functions that only events reach have no route."""

    def __init__(self, revisions: Mapping[str, Revision], log: Log) -> None:
        self._revisions = revisions
        self._log = log

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request. Errors are problem+json, as the functions' own."""
        try:
            origin.check(request.headers)
            if request.path == "/":
                return await self._root(request)
            return await self._forward(request, self._route(request))
        except (MedleyError, ConnectionError) as error:
            if isinstance(error, MedleyError) and ANSWERED not in request:
                return _problem(error)
            if request.transport is not None:
                request.transport.abort()  # part of an answer is out: only breaking off tells the client
            return request.get(ANSWERED) or web.Response()

    async def _root(self, request: web.BaseRequest) -> web.StreamResponse:
        """A health check, and the place existing clients give for their callback."""
        if request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
            routes = sorted(f"{names.API}/{route}" for route in names.ROUTES)
            return web.json_response({"service": "medley", "routes": routes})
        if request.method != hdrs.METH_POST:
            raise MethodNotAllowed("/ takes GET, and POST as a place for callbacks.", "GET", "HEAD", "POST")
        size = 0
        _go_on(request)
        async for piece in request.content.iter_any():
            size += len(piece)
        sent = {name: value for name, value in request.headers.items() if name.lower().startswith(names.TELLING)}
        self._log.line("info", "gateway", "a callback came to /", bytes=size, headers=sent)
        return web.Response(status=204)

    def _route(self, request: web.BaseRequest) -> Revision:
        parts = request.path.split("/")
        function = names.ROUTES.get(parts[2]) if len(parts) > 2 and f"/{parts[1]}" == names.API else None
        if function is None or self._revisions[function].service.local:
            raise NotFound(f"There is nothing at {request.path[:200]!r}.")
        return self._revisions[function]

    async def _forward(self, request: web.BaseRequest, revision: Revision) -> web.StreamResponse:
        """Passes request and answer through in pieces; a client that goes cancels this, which closes the upstream."""
        _go_on(request)
        body = _pieces(request) if request.body_exists else None
        # As it came, but for a whole address (RFC 9112, 3.2.2).
        path = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
        async with revision.request(request.method, path, _passed(request.headers), body) as upstream:
            response = web.StreamResponse(
                status=upstream.status, reason=upstream.reason, headers=_passed(upstream.headers)
            )
            request[ANSWERED] = response
            await response.prepare(request)
            async for piece in upstream.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response


def _go_on(request: web.BaseRequest) -> None:
    """Tells a client that waits for it to send its body, as curl does for more than 1 MiB."""
    asked = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.version >= HttpVersion11
    if asked and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """A request's body, after an empty piece: that sends the head on, which else waits for the client's first bytes."""
    yield b""
    async for piece in request.content.iter_any():
        yield piece


def _passed(headers: Any) -> Any:
    """A copy of a message's headers without those of its connection."""
    kept = headers.copy()
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    for name in HOP | named:
        kept.popall(name, None)
    return kept


def _problem(error: MedleyError) -> web.Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.methods)
    body = json.dumps(error.problem())
    return web.Response(status=error.status, text=body, content_type="application/problem+json", headers=headers)
