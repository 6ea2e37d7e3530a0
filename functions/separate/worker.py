"""The worker of a process: one song after the other, oldest first, while there is time."""

import os
import signal
import socket
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from functions.separate import ending
from functions.separate.allocator import give_back
from functions.separate.attempt import Attempt, GivenUp, Overtaken, Separator
from functions.separate.importing import quickly
from functions.separate.lease import Lease
from functions.separate.request import Request
from functions.separate.weights import folder_of, obtain
from medley import events, logs, names, stores
from medley.announce import announce
from medley.errors import BadAudio, Busy, Crash, DeviceLost, MedleyError, Unavailable
from medley.http import draining, stores_ready
from medley.settings import settings
from medley.stores.jobs import Claim

SEEN = 60.0  # s for which a worker is shown after it was last heard of
HOPELESS = 86400.0  # s after its first attempt at which a song that S3 has, and cannot read, has failed


class Worker:
    """Never runs two songs: a second event while one is in work is told to come again."""

    def __init__(self) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self._busy = threading.Lock()
        self._token = ""  # of a claim that Redis may know of and we do not, or that could not be given back
        self._loaded: dict[str, str] = {}  # what it has; not the model itself, which goes before another is loaded
        self._about: dict[str, str | None] = {}
        self._aside = ThreadPoolExecutor(4, thread_name_prefix="aside")
        # While the first song is claimed, fetched and decoded.
        self._engine = self._aside.submit(_engine)

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
        request = Request(self._aside)
        try:
            self._work(request)
        finally:
            # A pod must not be taken away before the clients are told; but what is slow is left to `callback`.
            request.is_telling(max(0.0, request.left) + settings().callback_timeout)
            self._busy.release()

    def _work(self, request: Request) -> None:
        failures: list[Unavailable] = []
        first = left = True
        while left and not draining.is_set() and (first or request.left > 0):
            first = False
            if failures:
                stores.objects().ready()  # or all others would fail by it too, and as slowly
            claim = self._claim(request)
            if claim is not None:
                failures += self._failed(claim, request)
                give_back()
            else:  # a client that is slow to take its callback holds up no song that comes meanwhile
                left = request.is_telling(0.5)
        if request.trouble or not left:
            self._show(request.trouble or "idle")
        if failures:
            raise failures[0]  # and the event comes again
        if left:
            self._announce_next()

    def _claim(self, request: Request) -> Claim | None:
        """The oldest song that nobody holds. What Redis did without our hearing of it is the same attempt."""
        self._token = self._token or uuid.uuid4().hex
        claim = stores.jobs().claim(self._token, settings().lease_seconds, request.passed_over)
        self._token = ""
        return claim

    def _failed(self, claim: Claim, request: Request) -> list[Unavailable]:
        """One song; if it cannot be done now, why not."""
        try:
            with Lease(claim, self._beat, 2 * settings().time_limit, partial(_hangs, claim)) as lease:
                self._one(claim, lease, request)
        except DeviceLost:
            raise
        except Unavailable as error:
            request.passed_over.add(claim.job.song)
            logs.error("song not done now", hash=claim.job.song, error=logs.why(error))
            # The frames it came through hold a song, or half a model, and the next one needs the room.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            return [error]
        return []

    def _one(self, claim: Claim, lease: Lease, request: Request) -> None:
        """One song, to its end or to where another goes on."""
        events.follow(claim.job.traceparent)
        logs.info("song claimed", hash=claim.job.song, attempt=claim.job.attempts, parts=claim.job.parts)
        attempt: Attempt | None = None
        try:
            if claim.job.attempts > settings().max_attempts:
                return ending.give_up(claim, request)
            self._show("separating" if self._loaded else "loading", claim)
            attempt = Attempt(claim, partial(self._load, claim, request), lease, lambda: request.left < 0)
            done = attempt.run()
            ending.succeed(claim, done, attempt.outcome(done), request)
        except Overtaken:
            logs.info("song overtaken or removed", hash=claim.job.song)
            if attempt:
                attempt.clean_up()
        except GivenUp:
            self._give_back(claim)
            logs.info("song given back", hash=claim.job.song)
        except BadAudio as error:
            ending.fail(claim, error, request)
        except DeviceLost as error:
            self._end_process(claim, error)
        except Unavailable as error:
            if claim.job.model not in request.passed_over and _is_hopeless(claim):
                return ending.fail(claim, error, request)
            self._give_back(claim)
            raise
        except Exception as error:
            self._failed_oddly(claim, attempt, error, request)

    def _failed_oddly(self, claim: Claim, attempt: Attempt | None, error: Exception, request: Request) -> None:
        """Counts as an attempt; the event is answered with an error, so that it comes again."""
        logs.error("attempt failed", hash=claim.job.song, error=logs.why(error), trace=traceback.format_exc(limit=-5))
        why = error.detail if isinstance(error, MedleyError) else f"{type(error).__name__}."
        crash = Crash(f"Separating it failed {settings().max_attempts} times: {why}")
        if claim.job.attempts >= settings().max_attempts and not (attempt and attempt.new_parts):
            return ending.fail(claim, crash, request)
        self._give_back(claim, counts=True)
        raise crash from error

    def _end_process(self, claim: Claim, error: DeviceLost) -> NoReturn:
        """Nothing can be computed here any more. The attempt counts: it may have been the song's doing."""
        logs.error("the process ends, for another to take its place", hash=claim.job.song, error=error.detail)
        try:
            self._give_back(claim, counts=bool(self._loaded))
        finally:
            os.kill(os.getppid(), signal.SIGTERM)
        raise error

    def _give_back(self, claim: Claim, *, counts: bool = False) -> None:
        """Where Redis is away the claim stays ours: the next one has its token, and is the same attempt."""
        self._token = "" if counts else claim.token
        stores.jobs().give_back(claim, counts=counts)
        self._token = ""

    def _load(self, claim: Claim, request: Request, exactly: bool) -> Separator:
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
                self._engine = self._aside.submit(_engine)
            logs.error("model not loaded", model=job.model, error=str(error))
            request.passed_over.add(job.model)
            request.trouble = f"cannot load the model: {error}"
            self._show(request.trouble)
            raise Unavailable(f"The model cannot be loaded: {error}", retry_after=60) from error
        self._loaded = {"model": job.model, "device": separator.device, "precision": separator.precision}
        self._show("separating", claim)
        return separator

    def _show(self, state: str, claim: Claim | None = None) -> None:
        """Tells the queue what this worker is at."""
        first = {"device": settings().device, "precision": None, "model": claim.job.model if claim else None}
        song = claim.job.song if claim else None
        self._about = {**first, **self._loaded, "state": state, "song": song}
        with suppress(Unavailable):  # that it is not shown, as where Redis is full, is no fault of a song
            self._beat()

    def _beat(self) -> None:
        stores.jobs().seen(self.id, self._about, SEEN)

    def _announce_next(self) -> None:
        """What waits is announced again, since this request goes on with none of it."""
        for song in stores.jobs().unheld(1):
            announce(events.build(names.SONG_UPLOADED, "separate", song, {"hash": song}))


def _engine() -> Any:
    """PyTorch is loaded here and not before: its threads must not be there when gunicorn forks."""
    with quickly():
        from functions.separate.engine import Engine

    values = settings()
    return Engine(values.device, values.precision, values.weights_dir)


def _is_hopeless(claim: Claim) -> bool:
    """Whether it is not the stores that are away or full, and the song has been tried for long enough."""
    if time.time() - claim.job.started < HOPELESS or draining.is_set():  # which waits for no store
        return False
    try:
        stores_ready()
        return stores.jobs().renew(claim, settings().lease_seconds)  # a Redis that takes no writes answers a ping
    except Unavailable:
        return False


def _hangs(claim: Claim) -> NoReturn:
    """What does not even come to look at the time can only be ended with its process, as a GPU's driver may."""
    logs.error("the process hangs and ends, for another to take its place", hash=claim.job.song)
    logs.flush(settings().broker_timeout)
    os.kill(os.getppid(), signal.SIGTERM)
    os._exit(1)
