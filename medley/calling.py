"""One attempt at a callback: claim it, call, record what came of it."""

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from medley import logs, names, stores
from medley.address import Refused, Unresolved, judge, post
from medley.callback import Attempt, Callback, next_attempt, sign
from medley.errors import MedleyError
from medley.names import Upload
from medley.settings import settings

MARGIN = 15.0  # s beyond the time limit of an attempt, after which another may claim it


def attempt(callback_id: str) -> None:
    """Makes the attempt that is due, if it is and nobody else makes it."""
    claimed = stores.callbacks().claim(callback_id, settings().callback_timeout + MARGIN)
    if claimed is None:
        return
    tried, state, retry_after = _try(claimed)
    again = next_attempt(claimed, settings().callback_schedule, retry_after) if state == "due" else None
    if state == "due" and again is None:
        state = "failed"
    counts = stores.callbacks().record(claimed, tried, state, again)
    logs.info("callback", hash=claimed.song, callback=claimed.id, host=claimed.host, state=state, answer=tried.status)
    if counts and state != "due":
        _forget(claimed)


def _try(callback: Callback) -> tuple[Attempt, str, float | None]:
    """The attempt, the callback's state after it ("due" to try again), and the Retry-After of the answer in seconds."""
    began = time.time()
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    try:
        target = judge(callback.url, settings().callback_allow)
        body = _body(callback)
        answer = post(target, body, _headers(callback, body), settings().callback_timeout)
        status, retry_after = answer.status, _retry_after(answer.headers.get("Retry-After"))
    except Refused as refused:
        return Attempt(began, 0.0, error=str(refused)), "refused", None
    except MedleyError:
        raise  # a store is away, which says nothing about the client
    except Exception as failure:  # whatever a client's server can make a library raise
        error = _told(failure)
    return Attempt(began, round(time.time() - began, 3), status, error), _state(status), retry_after


def _state(status: int | None) -> str:
    """Only 2xx is success, redirects are not; 410 says that the client wants no more."""
    if status is not None and 200 <= status < 300:
        return "delivered"
    return "gone" if status == 410 else "due"


def _body(callback: Callback) -> bytes:
    """The client's own data unchanged, else what there is to tell."""
    if callback.has_data:
        return json.dumps(callback.data).encode()
    about: dict[str, Any] = {"hash": callback.song, "status": callback.status, "stems": _stems(callback)}
    if callback.error:
        about["error"] = callback.error
    return json.dumps(about).encode()


def _stems(callback: Callback) -> dict[str, str]:
    """Where the stems are, by name; none unless the song succeeded, and they are still those of that upload."""
    job = stores.jobs().get(callback.song)
    if job is None or job.upload_id != callback.upload_id or callback.status != "succeeded":
        return {}
    left = [stem for stem in job.stems if stem not in job.removed]
    return {stem: names.track_path(job.song, stem) for stem in left}


def _headers(callback: Callback, body: bytes) -> dict[str, str]:
    """Standard Webhooks' headers, and what a client with its own data needs to know."""
    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "medley",
        names.HASH: callback.song,
        names.STATUS: callback.status,
        "webhook-id": callback.id,
        "webhook-timestamp": str(now),
    }
    if settings().callback_secret:
        headers["webhook-signature"] = sign(settings().callback_secret, callback.id, now, body)
    return headers


def _retry_after(text: str | None) -> float | None:
    """Seconds, from a number of them or a date (RFC 9110, section 10.2.3)."""
    if not text:
        return None
    try:
        seconds = float(text) if text.strip().isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0)


def _told(failure: Exception) -> str:
    """A failure in words that name no address behind the client's host name."""
    refused = isinstance(failure, urllib3.exceptions.NewConnectionError)  # which urllib3 counts as a timeout
    if isinstance(failure, urllib3.exceptions.TimeoutError | TimeoutError) and not refused:
        return f"no answer within {settings().callback_timeout:g} s"
    if isinstance(failure, Unresolved):
        return str(failure)
    return f"the connection failed: {type(failure).__name__}"


def _forget(callback: Callback) -> None:
    """Removes the object by which a settled callback would be sent again if Redis were emptied."""
    try:
        stores.objects().remove([Upload(callback.song, callback.upload_id).callback(callback.id)])
    except MedleyError as error:
        logs.error("a settled callback's object stays", callback=callback.id, error=error.detail)
