"""The end of a song: its record, its event and its callbacks in one step, then those who wait are told."""

from typing import Any

from functions.separate.attempt import Overtaken, failure, unrendered
from functions.separate.patience import patiently
from functions.separate.request import Request
from medley import events, logs, names, stores
from medley.errors import KilledItsWorkers, MedleyError
from medley.settings import settings
from medley.song import Done
from medley.stores.jobs import Claim, Fields


def succeed(claim: Claim, done: Done, fields: Fields, request: Request) -> None:
    """Raises Overtaken where another attempt or a removal came between."""
    song = claim.job.song
    about = {"stems": list(done.stems), "seconds": done.length / done.samplerate, "segments": done.segments}
    if not _end(claim, "succeeded", names.SONG_SEPARATED, about, fields, request):
        raise Overtaken
    logs.info("song separated", hash=song, segments=done.segments)


def fail(claim: Claim, error: MedleyError, request: Request) -> None:
    """Nothing where another attempt or a removal came between."""
    about = {"error": {"type": error.slug, "detail": error.detail}}
    if _end(claim, "failed", names.SONG_FAILED, about, failure(error), request):
        logs.error("song failed", hash=claim.job.song, error=error.detail)


def give_up(claim: Claim, request: Request) -> None:
    """A song that ends its workers fails; unless it is separated, and only rendering it does that."""
    detail = f"It ended its worker {settings().max_attempts} times; the song may be damaged."
    manifest = stores.objects().read_json(claim.job.upload.done)
    if manifest is None:
        return fail(claim, KilledItsWorkers(detail), request)
    done = Done.read(manifest)
    missing = {file: detail for file in claim.job.outputs if file not in claim.job.files}
    return succeed(claim, done, done.record() | unrendered(missing), request)


def _end(claim: Claim, status: str, event_type: str, about: dict[str, Any], fields: Fields, request: Request) -> bool:
    """False when another attempt or a removal came between."""
    song = claim.job.song
    event = events.build(event_type, "separate", song, {"hash": song, **about})
    due = patiently(lambda: stores.jobs().finish(claim, status, event, fields))
    if due is None:
        return False
    request.tell(event, due)
    return True
