"""What can go wrong for a client.

ClientError
├── MedleyProblem   the service answered, and the answer is a problem
└── Unreachable     no answer, or none that medley gives
"""

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

from urllib3 import BaseHTTPResponse

MAX_PROBLEM = 64 * 1024  # bytes of a problem's body that are read
PREFIX = "urn:medley:problem:"


class ClientError(Exception):
    """Any error of the client; its text says what to do about it. It can be pickled, as pools of processes do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[ClientError], args: tuple[Any, ...], members: dict[str, Any]) -> ClientError:
    """Without its own __init__, which takes more than the text."""
    error = kind.__new__(kind, *args)
    vars(error).update(members)
    return error


class BadCall(ClientError):
    """An address, hash or file that cannot be used."""


class Unreachable(ClientError):
    """The service gave no answer that can be used."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} {reason}")
        self.url = url


class MedleyProblem(ClientError):
    """A problem answer (RFC 9457). `retry_after` in seconds, None where the service does not say that it helps."""

    def __init__(
        self,
        status: int,
        type: str,
        title: str,
        detail: str,
        retry_after: float | None = None,
        members: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.retry_after = retry_after
        self.members = members or {}

    @property
    def slug(self) -> str:
        """The last word of the type, such as `not-ready`; empty for an answer that is not medley's own."""
        return self.type.removeprefix(PREFIX) if self.type.startswith(PREFIX) else ""

    def record(self) -> dict[str, Any]:
        """As JSON for scripts."""
        about = {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail}
        return {**self.members, **about, "retry_after": self.retry_after}


def read_problem(answer: BaseHTTPResponse) -> MedleyProblem:
    """The problem that an answer tells, also when something between us and the service wrote it."""
    body = answer.read(MAX_PROBLEM) or b""
    answer.close()
    try:
        about = json.loads(body)
    except ValueError:
        about = None
    if not isinstance(about, dict) or not isinstance(about.get("type"), str):
        about = _foreign(answer, body)
    known = {name: str(about.pop(name, "")) for name in ("type", "title", "detail")}
    about.pop("status", None)
    return MedleyProblem(answer.status, **known, retry_after=_retry_after(answer), members=about)


def _foreign(answer: BaseHTTPResponse, body: bytes) -> dict[str, Any]:
    """A problem for an answer that is not medley's, from a proxy for example."""
    where = answer.headers.get("Location")
    text = f"It redirects to {where}; use that address." if where else " ".join(body.decode(errors="replace").split())
    detail = text[:300] or f"The answer was {answer.status} {answer.reason or ''}".strip()
    return {"type": "about:blank", "title": answer.reason or "Error", "detail": detail}


def _retry_after(answer: BaseHTTPResponse) -> float | None:
    """Seconds, from a number or a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
