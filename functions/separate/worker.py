"""The worker of a process: one song after the other, oldest first, while there is time."""

import os
import socket
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait

from functions.separate.attempt import Attempt, GivenUp, Overtaken, Separator, failure
from functions.separate.lease import Lease
from medley import events, logs, names, stores
from medley.calling import attempt as call
from medley.errors import BadAudio, Busy, Crash, MedleyError, Unavailable, Unprocessable
from medley.http import draining
from medley.publish import publish
from medley.settings import settings
from medley.song import Done
from medley.stores.jobs import Claim

SEEN = 60.0  # s for which a worker is shown after it was last heard of


class KilledItsWorkers(Unprocessable):
    """The song's attempts ended without a trace, again and again."""

    slug, title = "killed-its-workers", "Separating the song fails"


class Worker:
    """Never runs two songs: a second event while one is in work is told to come again."""

    def __init__(self) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self._busy = threading.Lock()
        self._separator: tuple[str, Separator] | None = None
        self._about: dict[str, str | None] = {}
        self._after = ThreadPoolExecutor(4, thread_name_prefix="after")

    def work(self) -> None:
        """Claims and separates until nothing is left or the time limit is near. Raises Busy, Unavailable, Crash."""
        if not self._busy.acquire(blocking=False):
            raise Busy("This worker has a song in work; it takes the next one by itself.", retry_after=10)
        told: list[Future[None]] = []
        try:
            self._work(time.monotonic() + settings().time_limit - settings().time_margin, told)
        finally:
            for future in told:
                future.result()
            self._busy.release()

    def _work(self, deadline: float, told: list[Future[None]]) -> None:
        first = True
        while not draining.is_set() and (first or time.monotonic() < deadline):
            first = False
            claim = stores.jobs().claim(uuid.uuid4().hex, settings().lease_seconds)
            if claim is not None:
                with Lease(claim, self._beat) as lease:
                    self._one(claim, lease, deadline, told)
            elif wait(told, timeout=0.5).not_done:
                continue  # a client that is slow to take its callback holds up no song that comes meanwhile
            else:
                self._show("idle")
                return
        self._announce_next()

    def _one(self, claim: Claim, lease: Lease, deadline: float, told: list[Future[None]]) -> None:
        """One song, to its end or to where another goes on."""
        events.traceparent.set(events.new_traceparent())
        logs.info("song claimed", hash=claim.job.song, attempt=claim.job.attempts, parts=claim.job.parts)
        if claim.job.attempts > settings().max_attempts:
            detail = f"Separating it ended its worker {settings().max_attempts} times; the song may be damaged."
            return self._fail(claim, KilledItsWorkers(detail), told)
        attempt: Attempt | None = None
        try:
            attempt = Attempt(claim, self._load(claim), lease, lambda: time.monotonic() > deadline)
            self._succeed(claim, attempt, attempt.run(), told)
        except Overtaken:
            logs.info("song overtaken or removed", hash=claim.job.song)
            if attempt:
                attempt.clean_up()
        except GivenUp:
            stores.jobs().give_back(claim)
            logs.info("song given back", hash=claim.job.song)
        except BadAudio as error:
            self._fail(claim, error, told)
        except Unavailable:
            stores.jobs().give_back(claim)
            raise
        except Exception as error:
            self._failed_oddly(claim, attempt, error, told)

    def _failed_oddly(self, claim: Claim, attempt: Attempt | None, error: Exception, told: list[Future[None]]) -> None:
        """Counts as an attempt; the event is answered with an error, so that it comes again."""
        logs.error("attempt failed", hash=claim.job.song, error=repr(error))
        crash = Crash(f"Separating it failed {settings().max_attempts} times: {type(error).__name__}.")
        if claim.job.attempts >= settings().max_attempts and not (attempt and attempt.new_parts):
            return self._fail(claim, crash, told)
        stores.jobs().give_back(claim, counts=True)
        raise crash from error

    def _load(self, claim: Claim) -> Separator:
        """The model, loaded on first use: torch and its threads must not be there when gunicorn forks."""
        model = claim.job.model
        if self._separator is None or self._separator[0] != model:
            self._separator = None  # before the next one is loaded: two do not fit a small GPU
            self._show("loading", claim)
            from functions.separate.separator import load

            self._separator = (model, load(model, settings().device, settings().weights_dir))
            loaded = self._separator[1]
            logs.info("model loaded", model=model, device=loaded.device, precision=loaded.precision)
        self._show("separating", claim)
        return self._separator[1]

    def _show(self, state: str, claim: Claim | None = None) -> None:
        """Tells the queue what this worker is at."""
        model, loaded = self._separator or (claim.job.model if claim else None, None)
        self._about = {
            "device": loaded.device if loaded else settings().device,
            "precision": loaded.precision if loaded else None,
            "model": model,
            "state": state,
            "song": claim.job.song if claim else None,
        }
        self._beat()

    def _beat(self) -> None:
        stores.jobs().seen(self.id, self._about, SEEN)

    # --- The end of a song ---

    def _succeed(self, claim: Claim, attempt: Attempt, done: Done, told: list[Future[None]]) -> None:
        song = claim.job.song
        data = {"hash": song, "stems": list(done.stems), "seconds": done.length / done.samplerate}
        event = events.build(names.SONG_SEPARATED, "separate", song, data | {"segments": done.segments})
        due = stores.jobs().finish(claim, "succeeded", event, attempt.outcome(done))
        if due is None:
            raise Overtaken
        logs.info("song separated", hash=song, segments=done.segments)
        told.append(self._after.submit(_tell, event, due))

    def _fail(self, claim: Claim, error: MedleyError, told: list[Future[None]]) -> None:
        song, fields = claim.job.song, failure(error)
        data = {"hash": song, "error": {"type": error.slug, "detail": error.detail}}
        event = events.build(names.SONG_FAILED, "separate", song, data)
        due = stores.jobs().finish(claim, "failed", event, fields)
        if due is not None:
            logs.error("song failed", hash=song, error=error.detail)
            told.append(self._after.submit(_tell, event, due))

    def _announce_next(self) -> None:
        """What waits is announced again, since this request goes on with none of it."""
        for song in stores.jobs().unheld(1):
            try:
                publish(events.build(names.SONG_UPLOADED, "separate", song, {"hash": song}))
            except MedleyError as error:
                logs.line("error", "separate", "not announced; the sweep will", error=error.detail)


def _tell(event: str, due: list[str]) -> None:
    """The event about a song's end and the first attempt of its callbacks, while the next song is in work already."""
    try:
        publish(event)
        stores.outbox().published(event)
    except MedleyError as error:
        logs.line("error", "separate", "not announced; the sweep will", error=error.detail)
    for callback in due:
        try:
            call(callback)
        except MedleyError as error:
            logs.line("error", "separate", "callback not tried; the sweep will", error=error.detail)
