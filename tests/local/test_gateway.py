"""The gateway: what passes through it, and what it answers itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from medley import names
from medley.local.gateway import Gateway
from medley.local.manifests import Service
from tests.local.harness import Handle, Lines, caller, revision, run, served

PIECE = bytes(64 * 1024)
MULTI = b"HTTP/1.1 207 Multi-Status\r\n"  # what `told` answers


async def told(request: web.BaseRequest) -> web.StreamResponse:
    """Says what it was asked."""
    body = await request.read()
    about = {"method": request.method, "path": request.raw_path, "body": body.decode("latin-1")}
    headers = {"X-Asked": request.headers.get("X-Ask", ""), "ETag": '"e"', "Connection": "x-hop", "X-Hop": "1"}
    return web.json_response(about, status=207, headers=headers)


class At:
    def __init__(self, url: str, session: aiohttp.ClientSession, log: Lines) -> None:
        self.url, self.session, self.log = url, session, log


@asynccontextmanager
async def gateway(handle: Handle = told, timeout: float = 10.0) -> AsyncIterator[At]:
    """A gateway whose functions all answer with `handle`, but say nothing of their name."""
    log = Lines()
    async with AsyncExitStack() as stack:
        revisions = {}
        for name in names.FUNCTIONS:
            local = name not in names.ROUTES.values()
            revisions[name] = await stack.enter_async_context(
                revision(Service(name, timeout=timeout, local=local), named(name, handle))
            )
        url = await stack.enter_async_context(served(Gateway(revisions, log).handle))
        yield At(url, await stack.enter_async_context(caller()), log)


@asynccontextmanager
async def connected(at: At) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, for what no client library sends."""
    url = URL(at.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    yield reader, writer
    writer.close()


def named(name: str, handle: Handle) -> Handle:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = await handle(request)
        if not response.prepared:
            response.headers["X-Function"] = name
        return response

    return answer


@pytest.mark.parametrize(("route", "function"), sorted(names.ROUTES.items()))
@pytest.mark.parametrize("rest", ["", "/", "/abc/vocals.mp3", "/a%20b%2Fc/?x=%2F&y"])
def test_each_route_goes_to_its_function_with_its_path_unchanged(route: str, function: str, rest: str) -> None:
    async def test() -> None:
        async with gateway() as at:
            url = f"{at.url}/apiv1/{route}{rest}"
            async with at.session.get(URL(url, encoded=True)) as response:
                assert (response.status, response.headers["X-Function"]) == (207, function)
                assert (await response.json())["path"] == f"/apiv1/{route}{rest}"

    run(test)


def test_a_whole_address_is_taken_for_its_path() -> None:
    """RFC 9112, 3.2.2."""

    async def test() -> None:
        async with gateway() as at, connected(at) as (reader, writer):
            writer.write(f"GET {at.url}/apiv1/queue?x=%2F HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.startswith(MULTI)
            assert b'"path": "/apiv1/queue?x=%2F"' in answer

    run(test)


def test_a_body_on_a_get_and_headers_pass() -> None:
    async def test() -> None:
        async with gateway() as at:
            url = f"{at.url}/apiv1/queue"
            async with at.session.get(url, data=b"null", headers={"X-Ask": "1"}) as response:
                assert (await response.json())["body"] == "null"
                assert (response.headers["X-Asked"], response.headers["ETag"]) == ("1", '"e"')
                assert "X-Hop" not in response.headers

    run(test)


@pytest.mark.parametrize(
    "path", ["/apiv1/nothing", "/apiv1", "/apiv1/", "/other", "/apiv2/queue", "/ready", "/apiv1/sweep"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_a_problem(path: str, method: str) -> None:
    async def test() -> None:
        async with gateway() as at, at.session.request(method, at.url + path) as response:
            problem = json.loads(await response.read())
            assert (response.status, response.content_type) == (404, "application/problem+json")
            assert (problem["status"], problem["type"]) == (404, "urn:medley:problem:not-found")

    run(test)


def test_the_root_answers_itself() -> None:
    async def test() -> None:
        async with gateway() as at:
            async with at.session.get(at.url + "/") as response:
                assert (response.status, response.content_type) == (200, "application/json")
                assert "X-Function" not in response.headers
            async with at.session.head(at.url + "/") as response:
                assert response.status == 200
            async with at.session.put(at.url + "/") as response:
                assert (response.status, response.content_type) == (405, "application/problem+json")
                assert response.headers["Allow"] == "GET, HEAD, POST"

    run(test)


@pytest.mark.parametrize("path", ["/", "/apiv1/separate"])
def test_a_client_that_asks_first_is_told_to_go_on(path: str) -> None:
    """As curl does for more than 1 MiB; it would wait a second."""

    async def test() -> None:
        async with gateway() as at, connected(at) as (reader, writer):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
            writer.write(head.encode())
            assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"body")
            assert await asyncio.wait_for(reader.readline(), 10) in (b"HTTP/1.1 204 No Content\r\n", MULTI)

    run(test)


def test_the_root_takes_a_callback_and_says_so() -> None:
    async def test() -> None:
        async with gateway() as at:
            sent = {"webhook-id": "7", "medley-hash": "a" * 64, "medley-status": "succeeded"}
            async with at.session.post(at.url + "/", data=b"{}", headers={**sent, "accept": "*/*"}) as response:
                assert (response.status, await response.read()) == (204, b"")
            ((level, _, message, fields),) = at.log.lines
            assert (level, message, fields["bytes"]) == ("info", "a callback came to /", 2)
            assert {name.lower(): value for name, value in fields["headers"].items()} == sent

    run(test)


def test_an_answer_passes_in_pieces() -> None:
    """The client has the first piece while the function has not written the second."""

    async def test() -> None:
        going = asyncio.Event()

        async def pieces(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"first")
            await going.wait()
            await response.write(b"second")
            return response

        async with gateway(pieces) as at, at.session.get(at.url + "/apiv1/track/a/b") as response:
            assert await response.content.readany() == b"first"
            going.set()
            assert await response.content.readany() == b"second"

    run(test)


def test_a_body_passes_in_pieces() -> None:
    """The function has the first piece while the client has not sent the second."""

    async def test() -> None:
        arrived = asyncio.Event()

        async def reads(request: web.BaseRequest) -> web.StreamResponse:
            size = len(await request.content.readany())
            arrived.set()
            async for piece in request.content.iter_any():
                size += len(piece)
            return web.json_response({"size": size})

        async def body() -> AsyncIterator[bytes]:
            yield PIECE
            await arrived.wait()
            yield PIECE

        async with gateway(reads) as at, at.session.post(at.url + "/apiv1/separate", data=body()) as response:
            assert (await response.json())["size"] == 2 * len(PIECE)

    run(test)


def test_an_answer_before_the_bodys_end_reaches_the_client() -> None:
    async def test() -> None:
        answered = asyncio.Event()

        async def refuses(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=413)

        async def body() -> AsyncIterator[bytes]:
            yield PIECE
            await answered.wait()

        async with gateway(refuses) as at, at.session.post(at.url + "/apiv1/separate", data=body()) as response:
            assert response.status == 413
            answered.set()

    run(test)


def test_a_client_that_hangs_up_closes_the_upstream() -> None:
    async def test() -> None:
        gone = asyncio.Event()

        async def endless(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while True:
                    await response.write(PIECE)
                    await asyncio.sleep(0)
            finally:
                gone.set()

        async with gateway(endless) as at:
            async with at.session.get(at.url + "/apiv1/track/a/b") as response:
                await response.content.readany()
                response.close()
            await gone.wait()

    run(test)


def test_a_function_that_takes_too_long_is_a_504_problem() -> None:
    async def test() -> None:
        async def sleeps(request: web.BaseRequest) -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response()

        async with gateway(sleeps, timeout=0.1) as at, at.session.get(at.url + "/apiv1/queue") as response:
            assert (response.status, response.content_type) == (504, "application/problem+json")

    run(test)


def test_an_answer_that_breaks_off_is_not_taken_for_whole() -> None:
    async def test() -> None:
        async def breaks(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "10"})
            await response.prepare(request)
            await response.write(b"half")
            assert request.transport is not None
            request.transport.close()
            return response

        async with gateway(breaks) as at, at.session.get(at.url + "/apiv1/track/a/b") as response:
            assert response.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    run(test)


def test_a_head_keeps_the_length_and_has_no_body() -> None:
    async def test() -> None:
        async def sized(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "1234"})
            await response.prepare(request)
            return response

        async with gateway(sized) as at, at.session.head(at.url + "/apiv1/track/a/b") as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "1234")
            assert await response.read() == b""

    run(test)


def test_a_gateway_without_its_function_says_when_to_come_again() -> None:
    async def test() -> None:
        async def away(request: web.BaseRequest) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        async with gateway(away) as at, at.session.post(at.url + "/apiv1/separate", data=b"x") as response:
            assert (response.status, response.headers["Retry-After"]) == (502, "1")

    run(test)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None),  # of which the DNS says that it is here
        ("localhost.evil.example:5000", None),
        ("localhost:5000", "https://evil.example"),
        ("localhost:5000", "http://localhost.evil.example"),
        ("localhost:5000", "http://192.0.2.1"),
        ("localhost:5000", "null"),  # of a frame that hides where it is from
        ("localhost:5000", "http://[::1"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/apiv1/queue"])
def test_pages_from_elsewhere_may_not_ask(host: str, origin: str | None, path: str) -> None:
    async def test() -> None:
        async with gateway() as at:
            headers = {"Host": host} | ({"Origin": origin} if origin else {})
            async with at.session.post(at.url + path, headers=headers, data=b"x") as response:
                assert (response.status, (await response.json())["type"]) == (403, "urn:medley:problem:forbidden")

    run(test)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:5000", None),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http://localhost:3000"),
        ("LOCALHOST", "http://app.localhost"),
        ("studio", "http://studio"),
        ("host.docker.internal:5000", None),
        ("studio.local:5000", "http://studio.local:5000"),
        ("", None),
    ],
)
def test_programs_and_pages_of_this_machine_may(host: str, origin: str | None) -> None:
    async def test() -> None:
        async with gateway() as at:
            headers = {"Host": host} | ({"Origin": origin} if origin else {})
            async with at.session.get(f"{at.url}/apiv1/queue", headers=headers) as response:
                assert response.status == 207

    run(test)
