"""A job as its clients see it."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from medley import names, stores
from medley.callback import Callback
from medley.job import Job
from medley.output import parse_file


def view(job: Job) -> dict[str, Any]:
    """The answer of GET /apiv1/songs/<hash>. Never a callback's URL or data: equal uploads share a record."""
    return {
        "hash": job.song,
        "name": job.name,
        "status": job.status,
        "position": stores.jobs().position(job.song),
        "progress": round(job.progress, 4),
        "eta_seconds": None if job.eta is None else round(job.eta, 1),
        "parts": {"ready": job.parts, "total": job.total or None, "seconds": job.step or None},
        "segments_computed": job.segments,
        **asdict(job.separation),
        "computed": [asdict(entry) for entry in job.computed],
        "seconds": job.seconds,
        "created": _time(job.created),
        "started": _time(job.started),
        "finished": _time(job.finished),
        "attempts": job.attempts,
        "error": job.error,
        "clipped": job.clipped,
        "stems": _stems(job),
        "original": _original(job),
        "removed": list(job.removed),
        "callbacks": [_callback(callback) for callback in map(stores.callbacks().get, job.callbacks) if callback],
    }


def _stems(job: Job) -> list[dict[str, Any]]:
    left = [stem for stem in job.stems if stem not in job.removed]
    succeeded = job.status == "succeeded"
    return [
        {"stem": stem, "url": names.track_path(job.song, stem), "ready": succeeded, "files": _files(job, stem)}
        for stem in left
    ]


def _files(job: Job, stem: str) -> list[dict[str, Any]]:
    """The files of a stem, and of the mix without it, that are there or were asked for in vain."""
    made: list[dict[str, Any]] = []
    for file, size in sorted(job.files.items()):
        output = parse_file(file)
        if output and output.stem == stem:
            url = names.track_path(job.song, output.track) + (f"?bitrate={output.bitrate}" if output.bitrate else "")
            made.append({"file": file, "url": url, "bytes": size, "content_type": output.content_type})
    failed = [{"file": file, "error": reason} for file, reason in job.unrendered.items() if file.startswith(stem + ".")]
    return made + failed


def _original(job: Job) -> dict[str, Any] | None:
    if job.status == "canceled" or "original" in job.removed:
        return None
    return {"url": names.track_path(job.song, "original"), "bytes": job.bytes}


def _callback(callback: Callback) -> dict[str, Any]:
    again = stores.callbacks().next_attempt(callback.id)
    attempts = [
        {"at": _time(attempt.at), "status": attempt.status, "error": attempt.error, "seconds": attempt.seconds}
        for attempt in callback.attempts
    ]
    next_ = _time(again) if again is not None else None
    return {
        "id": callback.id,
        "host": callback.host,
        "state": callback.state,
        "next_attempt": next_,
        "attempts": attempts,
    }


def _time(seconds: float) -> str | None:
    """RFC 3339, UTC; None for what has not been yet."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None
