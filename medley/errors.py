"""Every error that a request or an event may be answered by.

    MedleyError
    ├── BadRequest 400 ── BadTrack
    ├── Forbidden 403
    ├── NotFound 404 ── NotReady
    ├── MethodNotAllowed 405
    ├── Stalled 408
    ├── NotFinished 409, Busy 409
    ├── TooLarge 413
    ├── UnsupportedMedia 415
    ├── BadRange 416
    ├── Unprocessable 422 ── BadAudio, BadOption, KilledItsWorkers
    ├── Crash 500 ── Overflow
    ├── NoAnswer 502
    ├── OutOfMemory 503
    ├── Unavailable 503 ── QueueFull, TooManyUploads, Overloaded, WeightsMissing, DeviceLost
    └── TimedOut 504

Each class has the status of its HTTP answer (RFC 9457 `application/problem+json`) and a stable `type`. A broker tries
again after 404, 408, 409, 429 and 5xx, and never after 400 and 422.
"""

from typing import Any, ClassVar


class MedleyError(Exception):
    """An error with an answer. `detail` says what is wrong and what to do about it."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"

    def __init__(self, detail: str, *, retry_after: int | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.members = members

    def problem(self) -> dict[str, Any]:
        """The problem details object of RFC 9457."""
        type_ = f"urn:medley:problem:{self.slug}"
        return {"type": type_, "title": self.title, "status": self.status, "detail": self.detail, **self.members}


class BadRequest(MedleyError):
    status, slug, title = 400, "bad-request", "The request cannot be read"


class BadTrack(BadRequest):
    slug, title = "bad-track", "No such kind of track"


class Forbidden(MedleyError):
    status, slug, title = 403, "forbidden", "Not from here"


class NotFound(MedleyError):
    status, slug, title = 404, "not-found", "Not found"


class NotReady(NotFound):
    slug, title = "not-ready", "Not ready yet"


class MethodNotAllowed(MedleyError):
    status, slug, title = 405, "method-not-allowed", "Method not allowed"

    def __init__(self, detail: str, *methods: str, **members: Any) -> None:
        """`methods` are those that are: RFC 9110 (15.5.6) has every 405 name them, in `Allow`."""
        super().__init__(detail, **members)
        self.methods = methods


class Stalled(MedleyError):
    status, slug, title = 408, "stalled", "The request stopped coming"


class NotFinished(MedleyError):
    status, slug, title = 409, "not-finished", "The song is not finished yet"


class Busy(MedleyError):
    status, slug, title = 409, "busy", "This worker is busy"


class TooLarge(MedleyError):
    status, slug, title = 413, "too-large", "The song is too large"


class UnsupportedMedia(MedleyError):
    status, slug, title = 415, "unsupported-media", "The body is of a type that is not taken"


class BadRange(MedleyError):
    status, slug, title = 416, "bad-range", "The range is not within the file"


class Unprocessable(MedleyError):
    status, slug, title = 422, "unprocessable", "The request cannot be carried out"


class BadAudio(Unprocessable):
    slug, title = "bad-audio", "No song was found in the upload"


class BadOption(Unprocessable):
    slug, title = "bad-option", "An option is not offered"


class KilledItsWorkers(Unprocessable):
    slug, title = "killed-its-workers", "Separating the song ends its workers"


class Crash(MedleyError):
    status, slug, title = 500, "crash", "Something went wrong here"


class Overflow(Crash):
    """Values too large for the precision they are computed in; the song's, where that is `exact`."""


class Unavailable(MedleyError):
    status, slug, title = 503, "unavailable", "A part of the service is away"


class NoAnswer(MedleyError):
    status, slug, title = 502, "no-answer", "The function went away"


class OutOfMemory(MedleyError):
    """Not even one segment fits; the process goes on.

    Not Unavailable, by which a song is given back without end: it may be one that never fits.
    """

    status, slug, title = Unavailable.status, Unavailable.slug, Unavailable.title


class DeviceLost(Unavailable):
    """A GPU failed: this process can compute nothing any more."""

    title = "The GPU failed"


class QueueFull(Unavailable):
    slug, title = "queue-full", "The queue is full"


class TooManyUploads(Unavailable):
    slug, title = "too-many-uploads", "Too many uploads at once"


class Overloaded(Unavailable):
    slug, title = "overloaded", "Too many requests wait"


class WeightsMissing(Unavailable):
    """A model's weights are not on this machine, and could not be had."""


class TimedOut(MedleyError):
    status, slug, title = 504, "timed-out", "The function took too long"
