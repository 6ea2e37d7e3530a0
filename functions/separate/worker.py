"""The worker of a process: one song after the other, oldest first, while there is time."""

import os
import signal
import socket
import threading
import time
import traceback
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from functions.separate.allocator import give_back
from functions.separate.attempt import Attempt, GivenUp, Overtaken, Separator, failure, unrendered
from functions.separate.lease import Lease
from functions.separate.patience import patiently
from functions.separate.weights import folder_of, obtain
from medley import events, logs, names, stores
from medley.announce import announce, announce_recorded
from medley.calling import attempt as call
from medley.errors import BadAudio, Busy, Crash, DeviceLost, KilledItsWorkers, MedleyError, Unavailable
from medley.http import draining
from medley.settings import settings
from medley.song import Done
from medley.stores.jobs import Claim, Fields

SEEN = 60.0  # s for which a worker is shown after it was last heard of


class Worker:
    """Never runs two songs: a second event while one is in work is told to come again."""

    def __init__(self) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self._busy = threading.Lock()
        # Of the request in work:
        self._passed_over: set[str] = set()  # songs and models that it failed at
        self._trouble = ""  # why it could not load one
        self._loaded: dict[str, str] = {}  # what it has; not the model itself, which goes before another is loaded
        self._about: dict[str, str | None] = {}
        self._after = ThreadPoolExecutor(4, thread_name_prefix="after")
        # While the first song is claimed, fetched and decoded.
        self._engine = self._after.submit(_engine)

    def work(self) -> None:
        """Claims and separates until nothing is left or the time limit is near.

        A song that cannot be had, or whose model cannot be loaded, holds up no others: what it failed by is raised at
        the end, so that the event comes again. An attempt that counts ends the request at once: it may be the process
        that is ill, and would cost every song one. Raises Busy, Unavailable, Crash.
        """
        if draining.is_set():
            raise Unavailable("This worker is about to end.", retry_after=1)
        if not self._busy.acquire(blocking=False):
            raise Busy("This worker has a song in work; it takes the next one by itself.", retry_after=10)
        deadline = time.monotonic() + settings().time_limit - settings().time_margin
        told: list[Future[None]] = []
        try:
            self._work(deadline, told)
        finally:
            # A pod must not be taken away before the clients are told; but what is slow is left to `callback`.
            wait(told, timeout=max(0.0, deadline - time.monotonic()) + settings().callback_timeout)
            self._busy.release()

    def _work(self, deadline: float, told: list[Future[None]]) -> None:
        self._passed_over, self._trouble = set(), ""
        failures: list[Unavailable] = []
        first = left = True
        while left and not draining.is_set() and (first or time.monotonic() < deadline):
            first = False
            if failures:
                stores.objects().ready()  # or all others would fail by it too, and as slowly
            claim = stores.jobs().claim(uuid.uuid4().hex, settings().lease_seconds, self._passed_over)
            if claim is not None:
                failures += self._failed(claim, deadline, told)
                give_back()
            else:  # a client that is slow to take its callback holds up no song that comes meanwhile
                left = bool(wait(told, timeout=0.5).not_done)
        if self._trouble or not left:
            self._show(self._trouble or "idle")
        if failures:
            raise failures[0]  # and the event comes again
        if left:
            self._announce_next()

    def _failed(self, claim: Claim, deadline: float, told: list[Future[None]]) -> list[Unavailable]:
        """One song; if it cannot be done now, why not."""
        try:
            with Lease(claim, self._beat) as lease:
                self._one(claim, lease, deadline, told)
        except DeviceLost:
            raise
        except Unavailable as error:
            self._passed_over.add(claim.job.song)
            logs.error("song not done now", hash=claim.job.song, error=logs.why(error))
            # The frames it came through hold a song, or half a model, and the next one needs the room.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            return [error]
        return []

    def _one(self, claim: Claim, lease: Lease, deadline: float, told: list[Future[None]]) -> None:
        """One song, to its end or to where another goes on."""
        events.follow(claim.job.traceparent)
        logs.info("song claimed", hash=claim.job.song, attempt=claim.job.attempts, parts=claim.job.parts)
        attempt: Attempt | None = None
        try:
            if claim.job.attempts > settings().max_attempts:
                return self._give_up(claim, deadline, told)
            self._show("separating" if self._loaded else "loading", claim)
            attempt = Attempt(claim, partial(self._load, claim), lease, lambda: time.monotonic() > deadline)
            done = attempt.run()
            self._succeed(claim, done, attempt.outcome(done), deadline, told)
        except Overtaken:
            logs.info("song overtaken or removed", hash=claim.job.song)
            if attempt:
                attempt.clean_up()
        except GivenUp:
            stores.jobs().give_back(claim)
            logs.info("song given back", hash=claim.job.song)
        except BadAudio as error:
            self._fail(claim, error, deadline, told)
        except DeviceLost as error:
            stores.jobs().give_back(claim, counts=bool(self._loaded))  # it may have been the song's doing
            logs.error("the process ends, for another to take its place", hash=claim.job.song, error=error.detail)
            os.kill(os.getppid(), signal.SIGTERM)
            raise
        except Unavailable:
            stores.jobs().give_back(claim)
            raise
        except Exception as error:
            self._failed_oddly(claim, attempt, error, deadline, told)

    def _give_up(self, claim: Claim, deadline: float, told: list[Future[None]]) -> None:
        """A song that ends its workers fails; unless it is separated, and only rendering it does that."""
        detail = f"It ended its worker {settings().max_attempts} times; the song may be damaged."
        manifest = stores.objects().read_json(claim.job.upload.done)
        if manifest is None:
            return self._fail(claim, KilledItsWorkers(detail), deadline, told)
        done = Done.read(manifest)
        missing = {file: detail for file in claim.job.outputs if file not in claim.job.files}
        self._succeed(claim, done, done.record() | unrendered(missing), deadline, told)

    def _failed_oddly(
        self, claim: Claim, attempt: Attempt | None, error: Exception, deadline: float, told: list[Future[None]]
    ) -> None:
        """Counts as an attempt; the event is answered with an error, so that it comes again."""
        logs.error("attempt failed", hash=claim.job.song, error=logs.why(error), trace=traceback.format_exc(limit=-5))
        why = error.detail if isinstance(error, MedleyError) else f"{type(error).__name__}."
        crash = Crash(f"Separating it failed {settings().max_attempts} times: {why}")
        if claim.job.attempts >= settings().max_attempts and not (attempt and attempt.new_parts):
            return self._fail(claim, crash, deadline, told)
        stores.jobs().give_back(claim, counts=True)
        raise crash from error

    def _load(self, claim: Claim, exactly: bool) -> Separator:
        """The model, loaded on first use: torch and its threads must not be there when gunicorn forks.

        Raises DeviceLost, and Unavailable for whatever else keeps it from being loaded: that is this worker's fault and
        not the song's.
        """
        job = claim.job
        try:
            obtain(job.model, folder_of(settings().weights_dir), logs.info)
            engine = self._engine.result()
            separator: Separator = engine.separator(job.separation, job.song, job.recipe, exactly=exactly)
        except DeviceLost:
            self._loaded = {}
            raise
        except Exception as error:
            self._loaded = {}
            if self._engine.done() and self._engine.exception():
                self._engine = self._after.submit(_engine)
            logs.error("model not loaded", model=job.model, error=str(error))
            self._passed_over.add(job.model)
            self._trouble = f"cannot load the model: {error}"
            self._show(self._trouble)
            raise Unavailable(f"The model cannot be loaded: {error}", retry_after=60) from error
        self._loaded = {"model": job.model, "device": separator.device, "precision": separator.precision}
        self._show("separating", claim)
        return separator

    def _show(self, state: str, claim: Claim | None = None) -> None:
        """Tells the queue what this worker is at."""
        first = {"device": settings().device, "precision": None, "model": claim.job.model if claim else None}
        song = claim.job.song if claim else None
        self._about = {**first, **self._loaded, "state": state, "song": song}
        self._beat()

    def _beat(self) -> None:
        stores.jobs().seen(self.id, self._about, SEEN)

    # --- The end of a song ---

    def _succeed(self, claim: Claim, done: Done, fields: Fields, deadline: float, told: list[Future[None]]) -> None:
        song = claim.job.song
        data = {"hash": song, "stems": list(done.stems), "seconds": done.length / done.samplerate}
        event = events.build(names.SONG_SEPARATED, "separate", song, data | {"segments": done.segments})
        due = patiently(lambda: stores.jobs().finish(claim, "succeeded", event, fields))
        if due is None:
            raise Overtaken
        logs.info("song separated", hash=song, segments=done.segments)
        told.append(self._after.submit(_tell, event, due, deadline))

    def _fail(self, claim: Claim, error: MedleyError, deadline: float, told: list[Future[None]]) -> None:
        song = claim.job.song
        data = {"hash": song, "error": {"type": error.slug, "detail": error.detail}}
        event = events.build(names.SONG_FAILED, "separate", song, data)
        due = patiently(lambda: stores.jobs().finish(claim, "failed", event, failure(error)))
        if due is not None:
            logs.error("song failed", hash=song, error=error.detail)
            told.append(self._after.submit(_tell, event, due, deadline))

    def _announce_next(self) -> None:
        """What waits is announced again, since this request goes on with none of it."""
        for song in stores.jobs().unheld(1):
            announce(events.build(names.SONG_UPLOADED, "separate", song, {"hash": song}))


def _engine() -> Any:
    """PyTorch is loaded here and not before: its threads must not be there when gunicorn forks."""
    from functions.separate.engine import Engine

    values = settings()
    return Engine(values.device, values.precision, values.weights_dir)


def _tell(event: str, due: list[str], deadline: float) -> None:
    """The event about a song's end and the first attempt of its callbacks, while the next song is in work already.

    What there is no time for the function `callback` does, which the event wakes.
    """
    try:
        announce_recorded(event)
        for callback in due:
            if time.monotonic() < deadline:
                call(callback)
    except Exception as error:  # nobody looks at this thread
        logs.note("a song's end was not told; the sweep will", error=logs.why(error))
