"""One attempt at one song: parts as they are done, `done.json`, rendered files, record."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from functions.separate.clipping import Clipping
from functions.separate.lease import Lease
from functions.separate.patience import patiently
from functions.separate.renders import Render, end_all, store, told
from functions.separate.source import decoded, normalised_alike
from functions.separate.writer import Stems, Writer
from medley import delivery, logs, names, parts, stores
from medley.audio import Mix
from medley.errors import MedleyError, Overflow, Unavailable
from medley.http import draining, stores_ready
from medley.output import Output, parse_file
from medley.separation import Computed, noted
from medley.settings import settings
from medley.song import Done
from medley.stores.jobs import Claim, Fields


class Grid(Protocol):
    """Where the parts of a song begin and end."""

    length: int
    stride: int

    @property
    def count(self) -> int: ...


class Separator(Protocol):
    """What an attempt needs of a model, known without torch; functions/separate/separator.py says what it does."""

    @property
    def stems(self) -> tuple[str, ...]: ...

    @property
    def samplerate(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def recipe(self) -> str: ...

    def grid(self, length: int) -> Grid: ...

    def parts(self, mix: Mix, first: int, between: Callable[[], None]) -> Iterator[NDArray[np.int32]]: ...


class Overtaken(Exception):
    """Another attempt or a removal came between: this one changes nothing any more."""


class GivenUp(Exception):
    """The time limit is near or the process is to end: another attempt goes on after the last part."""


class Attempt:
    """One claim being worked on; the lease is the caller's.

    `load` gives the model, once the song is decoded: in the precision that was asked for, or, if told so, exactly.

    `out_of_time` is asked between two segments.
    """

    def __init__(
        self, claim: Claim, load: Callable[[bool], Separator], lease: Lease, out_of_time: Callable[[], bool]
    ) -> None:
        self.claim = claim
        self.job = claim.job
        self.upload = claim.job.upload
        self.lease = lease
        self.out_of_time = out_of_time
        self.new_parts = 0
        self.failures: dict[str, str] = {}  # reason by file
        self._load = load
        self._computed = claim.job.computed

    def run(self) -> Done:
        """Works until the song is whole and rendered. Raises Overtaken, GivenUp, BadAudio, Unavailable."""
        manifest = patiently(lambda: stores.objects().read_json(self.upload.done))
        done = Done.read(manifest) if manifest else self._separate()
        self._render_rest(done)
        return done

    def _separate(self) -> Done:
        mix = decoded(self.job)
        try:
            return self._separate_by(self._load(False), mix)
        except Overflow:
            if self.separator.precision == "exact":
                raise
        del self.separator  # and the error, which holds it too: two models may not fit
        logs.info("computed exactly: this song has values that 16 bits cannot hold", hash=self.job.song)
        return self._separate_by(self._load(True), mix)

    def _separate_by(self, separator: Separator, mix: Mix) -> Done:
        self.separator = separator
        self._recipe = self.separator.recipe
        self._clipping = Clipping(self.job, self._recipe, self.separator.stems)
        mix = normalised_alike(self.job, self._recipe, mix)
        grid = self.separator.grid(mix.length)
        first = self._first_missing(grid)
        self._begin(grid, first)
        # Later attempts render when all is separated: each would encode what came before it once more.
        renders = [Render(self.upload, output, mix.length) for output in self._outputs()] if first == 0 else []
        try:
            self._parts(mix, first, renders)
            done = self._done(grid)
        except BaseException:
            end_all(renders, Render.abort)
            raise
        end_all(renders, Render.end)
        self.failures |= {render.output.file: render.failure for render in renders if render.failure}
        return done

    def _parts(self, mix: Mix, first: int, renders: list[Render]) -> None:
        """The loop. While parts are stored and rendered, the network is at the next ones already."""

        def stored(number: int, stems: Stems, speed: float, clipped: dict[str, int]) -> None:
            self._record(number, clipped, 2 if number == first > 0 else 1, speed)  # one was computed for its overlap
            for render in renders:
                render.feed(stems[render.output.stem])

        stems = self.separator.stems
        with Writer(self.upload, self._recipe, stems, self.separator.device, stored) as writer:
            for number, values in enumerate(self.separator.parts(mix, first, self._check), first):
                writer.put(number, dict(zip(stems, values, strict=True)))

    def _record(self, number: int, clipped: dict[str, int], computed: int, speed: float) -> None:
        """Records a part that is stored. Raises Overtaken."""
        self._clipping.add(clipped)
        about = {"parts": number + 1, "speed": speed, "attempts": 0, **self._clipping.record()}
        self._progress(computed, about)
        self.new_parts += 1

    def _check(self, *, new: bool | None = None) -> None:
        """Whether to go on. An attempt makes at least one new part before its time limit can end it."""
        self.lease.goes_on()
        new = self.new_parts > 0 if new is None else new
        if self.lease.lost.is_set():
            raise Overtaken
        if draining.is_set() or (new and self.out_of_time()):
            raise GivenUp

    def _progress(self, computed: int, fields: Fields) -> None:
        lease = settings().lease_seconds
        if not patiently(lambda: stores.jobs().progress(self.claim, lease, computed, fields)):
            raise Overtaken

    # --- Before the loop ---

    def _first_missing(self, grid: Grid) -> int:
        """The lowest part that is missing for any stem."""
        prefix = self.upload.recipe_parts(self._recipe)
        there = {stat.name for stat in patiently(lambda: list(stores.objects().list(prefix)))}
        for number in range(grid.count):
            if any(self.upload.part(self._recipe, stem, number) not in there for stem in self.separator.stems):
                return number
        return grid.count

    def _begin(self, grid: Grid, first: int) -> None:
        """Records what is known now that the song is decoded, and counts what a crash left uncounted."""
        rate = self.separator.samplerate
        if first < grid.count:
            self._computed = noted(self._computed, Computed(first, self.separator.precision, self.separator.device))
        lengths = {"total": grid.count, "step": grid.stride / rate, "seconds": grid.length / rate}
        computed = {"computed": json.dumps([asdict(entry) for entry in self._computed])}
        self._progress(0, {**lengths, "parts": first, "recipe": self._recipe, **computed, **self._clipping.record()})
        for number in range(self._clipping.parts, first):
            self._clipping.add({stem: parts.clipped(self._stored(stem, number)) for stem in self.separator.stems})
            self._progress(0, {**self._clipping.record()})

    def _stored(self, stem: str, number: int) -> NDArray[np.int32]:
        return patiently(lambda: delivery.part(self.upload, self._recipe, stem, number))

    # --- After the loop ---

    def _done(self, grid: Grid) -> Done:
        """Says that the separation is whole, unless another attempt may say so in another recipe. Raises Overtaken."""
        self._progress(0, {"total": grid.count})
        job = patiently(lambda: stores.jobs().get(self.job.song))
        done = Done(
            parts=grid.count,
            length=grid.length,
            step=grid.stride,
            samplerate=self.separator.samplerate,
            stems=self.separator.stems,
            model=self.job.model,
            recipe=self._recipe,
            precision=self.separator.precision,
            device=self.separator.device,
            segments=job.segments if job else grid.count,
            clipped=dict(self._clipping.samples),
            computed=self._computed,
        )
        patiently(lambda: stores.objects().put_json(self.upload.done, asdict(done)))
        return done

    def _outputs(self) -> list[Output]:
        """What was asked for."""
        return [output for output in map(parse_file, self.job.outputs) if output]

    def _render_rest(self, done: Done) -> None:
        """What was not rendered along the way. A file that fails is on record with its reason, and fails no song."""
        job = patiently(lambda: stores.jobs().get(self.job.song))
        made = set(job.files if job else ()) | set(self.failures)
        for output in [output for output in self._outputs() if output.file not in made]:
            self._check(new=True)
            try:
                patiently(lambda output=output: store(self.upload, output, delivery.render(self.upload, done, output)))  # type: ignore[misc]
            except Exception as error:
                if isinstance(error, Unavailable):
                    if draining.is_set():  # then no store was waited for
                        raise
                    stores_ready()  # raises it too while a store is away; else the fault is this file's
                self.failures[output.file] = told(error)
                logs.error("render failed", hash=self.job.song, file=output.file, error=logs.why(error))

    def outcome(self, done: Done) -> dict[str, str | int | float]:
        """The record's fields of a song that succeeded."""
        return done.record() | unrendered(self.failures)

    def clean_up(self) -> None:
        """After Overtaken: removes what it wrote if that is nobody's any more.

        Of an upload that another took the place of, callbacks may be left that nobody else knows: the sweep moves them.
        """
        with suppress(MedleyError):
            job = stores.jobs().get(self.job.song)
            if job is not None and job.status == "canceled":
                stores.objects().remove_below(self.upload.prefix)
            elif job is not None and job.upload_id != self.upload.id:
                stores.objects().remove_below(self.upload.parts)


def unrendered(failures: dict[str, str]) -> dict[str, str | int | float]:
    """The record's fields of files that were asked for in vain."""
    return {f"{names.UNRENDERED}{file}": reason for file, reason in failures.items()}


def failure(error: MedleyError) -> dict[str, str | int | float]:
    """The record's fields of a song that failed."""
    return {"error": json.dumps({"type": error.slug, "detail": error.detail})}
