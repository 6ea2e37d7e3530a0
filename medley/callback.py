"""A callback: the POST to a client's URL when its song's job has ended, by Standard Webhooks."""

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from medley.errors import BadOption

MAX_URL = 2048  # characters
MAX_DATA = 64 * 1024  # bytes as JSON: a callback carries links, not files
LONGEST_WAIT = 86400.0  # s after it became due up to which a client may put a callback off, by Retry-After
MAX_CALLBACKS = 100  # of one song that are not settled, and as many that are: equal uploads share it


@dataclass(frozen=True)
class Attempt:
    """One try. `at` in seconds since 1970; `status` of the answer, or the `error` that there was instead."""

    at: float
    seconds: float
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Callback:
    """What one client asked for: `state` is waiting (for the job), due, or settled."""

    id: str
    url: str
    data: Any = None
    has_data: bool = False
    created: float = 0.0
    song: str = ""
    upload_id: str = ""
    state: str = "waiting"
    status: str = ""  # how the job ended
    error: dict[str, str] | None = None  # why, if it failed
    since: float = 0.0  # when it became due
    tries: int = 0  # attempts begun or asked for by hand; that of a claim is its fence
    attempts: tuple[Attempt, ...] = field(default=())

    @classmethod
    def none(cls) -> Self:
        """The place of a callback that was not asked for."""
        return cls("", "")

    def stored(self) -> dict[str, Any]:
        """Its object, by which it outlives Redis."""
        about = {"url": self.url, "created": self.created}
        return about | {"data": self.data} if self.has_data else about

    @property
    def host(self) -> str:
        """What others may see of it: never the whole URL, never the data."""
        return urlsplit(self.url).hostname or ""


def read_callback(callback: str, record: Mapping[str, str]) -> Callback:
    """A callback from the fields of its record."""
    numbers = sorted(int(name.removeprefix("attempt:")) for name in record if name.startswith("attempt:"))
    data = record.get("data", "")
    return Callback(
        id=callback,
        url=record.get("url", ""),
        data=json.loads(data) if data else None,
        has_data=bool(data),
        created=float(record.get("created", 0)),
        song=record.get("song", ""),
        upload_id=record.get("upload", ""),
        state=record.get("state", "waiting"),
        status=record.get("status", ""),
        error=json.loads(record["error"]) if record.get("error") else None,
        since=float(record.get("since", 0)),
        tries=int(record.get("tries", 0)),
        attempts=tuple(Attempt(**json.loads(record[f"attempt:{number}"])) for number in numbers),
    )


def check_callback(asked: object) -> tuple[str, Any, bool]:
    """The URL and data of a client's `{"url", "data"?}`. Raises BadOption; whether it may be called is judged later."""
    if not isinstance(asked, dict) or not isinstance(asked.get("url"), str):
        raise BadOption('"callback" must be an object with a "url" and, if you like, "data".')
    url = asked["url"]
    if len(url) > MAX_URL:
        raise BadOption(f"The callback's URL is longer than {MAX_URL} characters.")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadOption("The callback's URL must be http:// or https:// with a host.")
    if not all("!" <= character <= "~" for character in url):
        raise BadOption("The callback's URL holds what no URL can: percent-encode it, and give the host as xn--... .")
    if len(_as_json(asked.get("data"))) > MAX_DATA:
        raise BadOption(f"The callback's data is larger than {MAX_DATA} bytes as JSON; send a link instead.")
    return url, asked.get("data"), "data" in asked


def _as_json(data: Any) -> str:
    """What will be sent. Raises BadOption for numbers that JSON does not know."""
    try:
        return json.dumps(data, allow_nan=False)
    except ValueError as error:
        raise BadOption(f"The callback's data is not JSON: {error}") from None


def sign(secret: str, callback: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature` of the Standard Webhooks specification, section "Signature scheme"."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{callback}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def next_attempt(callback: Callback, schedule: tuple[float, ...], retry_after: float | None) -> float | None:
    """When to try again (s since 1970) after one more failure, None when it is given up.

    The schedule counts from when the callback became due; jitter of up to a tenth keeps many from coming at once. After
    an outage of ours all of it may be over: half of each pause is kept. A client may ask for a longer one, up to
    `LONGEST_WAIT`.
    """
    made = sum(attempt.at >= callback.since for attempt in callback.attempts)
    if made >= len(schedule):
        return None
    planned = callback.since + schedule[made] * random.uniform(1.0, 1.1)
    pause = schedule[made] - (schedule[made - 1] if made else 0.0)
    now = time.time()
    return max(planned, now + pause / 2, min(now + (retry_after or 0.0), callback.since + LONGEST_WAIT))
