"""Requests as every call of the client makes them: errors by name, and waiting where the service asks for it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Protocol, cast
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3 import BaseHTTPResponse

from medley.client.errors import BadCall, MedleyProblem, Unreachable, read_problem

Say = Callable[[str], None]
CONNECT = 10.0  # s: a service that is there takes a connection at once
TRIES = 4  # of a request that the service cannot take now
BLOCK = 128 * 1024  # bytes of a body that are sent at a time
LONGEST = 120.0  # s, of a Retry-After that is waited for


class Body(Protocol):
    """What a request sends: from its beginning again when it is sent again."""

    size: int

    def read(self, size: int = -1) -> bytes: ...
    def rewind(self) -> None: ...


class Transport:
    """One service's address. `timeout` in seconds, for each wait for bytes; `say` is told what is waited for."""

    def __init__(self, url: str, timeout: float, say: Say | None = None) -> None:
        self.url = base_url(url)
        self._say = say or (lambda _: None)
        limit = urllib3.Timeout(connect=min(CONNECT, timeout), read=timeout)
        self._pool = urllib3.PoolManager(retries=False, timeout=limit, blocksize=BLOCK)

    def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> BaseHTTPResponse:
        """A 2xx answer whose body is not read yet: close it. Raises MedleyProblem, Unreachable.

        A 503 with `Retry-After` is waited out, up to three times; so is a 502 to a GET, which did nothing if it came.
        """
        where = path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        for left in reversed(range(TRIES)):
            answer = self._send(method, where, headers or {}, body)
            if 200 <= answer.status < 300:
                return answer
            problem = self._problem(answer)
            if not left or not _worth_waiting(method, problem):
                raise problem
            self._wait(problem)
        raise AssertionError("the last try returns or raises")

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: Body | None) -> BaseHTTPResponse:
        length = {}
        if body is not None:
            body.rewind()
            length = {"Content-Length": str(body.size)}
        with self.reading():
            sent = {**headers, **length}
            return self._pool.request(
                method,
                self.url + path,
                body=cast("IO[Any] | None", body),  # of a file urllib3 wants only read()
                headers=sent,
                preload_content=False,
                decode_content=False,
            )

    def _problem(self, answer: BaseHTTPResponse) -> MedleyProblem:
        with self.reading():
            return read_problem(answer)

    def _wait(self, problem: MedleyProblem) -> None:
        seconds = problem.retry_after or 0.0
        self._say(f"{problem} Trying again in {seconds:.0f} s.")
        time.sleep(seconds)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Renames what goes wrong on the wire. Raises Unreachable."""
        try:
            yield
        except urllib3.exceptions.NewConnectionError as error:
            raise Unreachable(self.url, "cannot be reached: is the service running there?") from error
        except urllib3.exceptions.TimeoutError as error:
            raise Unreachable(self.url, "does not answer in time.") from error
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(self.url, f"cannot be reached: {error}") from error


def base_url(url: str) -> str:
    """An address to put paths behind; `localhost:5000` will do. Raises BadCall for what is none."""
    full = (url if "://" in url else f"http://{url}").strip()
    try:
        parts = urlsplit(full)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise BadCall(f"{url!r} is not the address of a service, such as http://localhost:5000.")
    return full.rstrip("/")


def path_of(*segments: str) -> str:
    """A path below the API's. Raises BadCall for a segment that would lead to another route."""
    if any(segment in ("", ".", "..") for segment in segments):
        raise BadCall("A hash, track or id is empty.")
    return "/apiv1/" + "/".join(quote(segment.encode(errors="replace"), safe="") for segment in segments)


def _worth_waiting(method: str, problem: MedleyProblem) -> bool:
    passes = problem.status == 503 or (problem.status == 502 and method == "GET")
    return passes and problem.retry_after is not None and problem.retry_after <= LONGEST
