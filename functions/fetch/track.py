"""Finding what a path names: a stored file, one that can be rendered, or why there is none."""

from itertools import chain
from typing import Any

from flask import Request, Response

from functions.fetch.rendering import rendering
from functions.fetch.send import Body, asked_range, send, stream
from medley import stores
from medley.errors import BadOption, MedleyError, NotFound, NotReady
from medley.job import Job
from medley.models import ALIASES
from medley.output import BITRATES, ORIGINALS, Output, parse
from medley.song import Done

RETRY_AFTER = 5  # s, when nothing better is known


def track(request: Request, song: str, name: str) -> Response:
    """A whole stem, the mix without one, or the original. Raises NotFound, NotReady, BadTrack, BadOption."""
    job = _job(song)
    if name == "original":
        return _original(request, job)
    output = parse(name, job.stems, bitrate=_bitrate(request, job))
    _not_removed(job, output.sources(job.stems))
    title = f"{job.name} - {output.track}"
    sent = send(request, job.upload.rendered(output.file), output.content_type, title)
    if sent is None and job.status != "succeeded":
        raise _not_ready(job, output.stem)
    return sent or _render(request, job, output, title)


def part(request: Request, song: str, stem: str, number: str) -> Response:
    """One part, as soon as it is stored. Raises NotFound, NotReady."""
    job = _job(song)
    stem = ALIASES.get(stem, stem)
    if stem not in job.stems or not (number.isascii() and number.isdigit() and len(number) <= 6):
        raise NotFound(f"A part is /apiv1/parts/<hash>/<stem>/<number>, with a stem of {job.stems}.")
    _not_removed(job, (stem,))
    n = int(number)
    if job.recipe and (n < job.total or not job.total):
        name = job.upload.part(job.recipe, stem, n)
        sent = send(request, name, "audio/flac", f"{job.name} - {stem} - {n}.flac")
        if sent:
            return sent
    if job.total and n >= job.total:
        raise NotFound(f"The song has {job.total} parts, numbered from 0.")
    raise _not_ready(job, f"part {n} of {stem}")


def _job(song: str) -> Job:
    job = stores.jobs().get(song)
    if job is None:
        raise NotFound("There is no song with this hash; upload it.")
    if job.status == "canceled":
        raise NotFound("The song was removed; upload it again.", state=job.status)
    return job


def _bitrate(request: Request, job: Job) -> int:
    """From the query, else what the song's client asked for."""
    text = request.args.get("bitrate", "")
    if not text:
        return job.bitrate
    if text not in map(str, BITRATES):
        offered = ", ".join(map(str, BITRATES))
        raise BadOption(f'"bitrate" is {text[:20]!r}; offered are {offered} kbit/s.', offered=list(BITRATES))
    return int(text)


def _not_removed(job: Job, tracks: tuple[str, ...]) -> None:
    gone = [track for track in tracks if track in job.removed]
    if gone:
        raise NotFound(f"{', '.join(gone)} was removed; upload the song again to have it back.")


def _not_ready(job: Job, what: str) -> MedleyError:
    """Why there is no audio, never a 2xx without it."""
    about: dict[str, Any] = {"state": job.status, "progress": round(job.progress, 4)}
    if job.status == "failed":
        reason = (job.error or {}).get("detail", "its separation failed")
        return NotReady(f"The song failed: {reason} Upload it again to try again.", **about, error=job.error)
    wait = min(60, max(1, round(job.eta))) if job.eta else RETRY_AFTER
    return NotReady(f"{what} is not ready yet: the song is {job.status}.", retry_after=wait, **about)


def _original(request: Request, job: Job) -> Response:
    if "original" in job.removed:
        raise NotFound("The original was removed; the stems are still there.")
    kind = ORIGINALS.get(job.extension, "application/octet-stream")
    sent = send(request, job.upload.original(job.extension), kind, f"{job.name}.{job.extension}")
    if sent is None:
        raise NotFound("The original is not in the store any more.")
    return sent


def _render(request: Request, job: Job, output: Output, title: str) -> Response:
    """Renders what is not there yet, into the answer and the store at once."""
    manifest = stores.objects().read_json(job.upload.done)
    if manifest is None:
        raise NotReady(f"{output.stem} is not in the store.", retry_after=RETRY_AFTER, state=job.status)
    done = Done.read(manifest)
    body = Body(output.content_type, title, output.size(done.length))
    if request.method == "HEAD":
        return stream(body, iter(()))
    made = rendering(job.upload, done, output)
    if asked_range(request):
        made.wait()
        sent = send(request, job.upload.rendered(output.file), output.content_type, title)
        if sent:
            return sent
    pieces = made.pieces()
    first = next(pieces, b"")  # what goes wrong before it can still be said
    return stream(body, chain((first,), pieces))
