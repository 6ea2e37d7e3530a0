"""One attempt at one song: parts as they are done, `done.json`, rendered files, record."""

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from functions.separate.grid import Grid, OverlapAdd
from functions.separate.lease import Lease
from functions.separate.patience import patiently
from functions.separate.renders import Render, store, told
from medley import delivery, logs, parts, stores
from medley.audio import Mix, decode
from medley.errors import BadAudio, MedleyError
from medley.http import draining
from medley.output import parse_file
from medley.settings import settings
from medley.song import Done
from medley.stores.jobs import Claim


class Separator(Protocol):
    """What an attempt needs of a model; see functions/separate/separator.py."""

    stems: tuple[str, ...]
    samplerate: int
    device: str
    precision: str
    recipe: str

    def grid(self, length: int) -> Grid: ...

    def separate(self, mix: Any, mean: float, deviation: float, k: int) -> NDArray[np.float32]: ...


class Overtaken(Exception):
    """Another attempt or a removal came between: this one changes nothing any more."""


class GivenUp(Exception):
    """The time limit is near or the process is to end: another attempt goes on after the last part."""


class Attempt:
    """One claim being worked on. `out_of_time` is asked between two segments; the lease is the caller's."""

    def __init__(self, claim: Claim, separator: Separator, lease: Lease, out_of_time: Callable[[], bool]) -> None:
        self.claim = claim
        self.job = claim.job
        self.upload = claim.job.upload
        self.separator = separator
        self.lease = lease
        self.out_of_time = out_of_time
        self.new_parts = 0
        self.failures: dict[str, str] = {}

    def run(self) -> Done:
        """Works until the song is whole and rendered. Raises Overtaken, GivenUp, BadAudio, Unavailable."""
        manifest = patiently(lambda: stores.objects().read_json(self.upload.done))
        done = Done.read(manifest) if manifest else self._separate()
        self._render_rest(done)
        return done

    def _separate(self) -> Done:
        with tempfile.TemporaryDirectory() as folder:
            mix = self._mix(Path(folder))
            grid = self.separator.grid(mix.length)
            first = self._first_missing(grid)
            self._begin(mix, grid, first)
            self._count_clipped(first)
            renders = self._renders(mix.length) if first == 0 else []
            try:
                self._segments(mix, grid, first, renders)
            except BaseException:
                for render in renders:
                    render.abort()
                raise
            done = self._done(grid)
            for render in renders:
                render.end()
            self.failures |= {render.output.file: render.failure for render in renders if render.failure}
        return done

    def _segments(self, mix: Mix, grid: Grid, first: int, renders: list[Render]) -> None:
        """The loop. While a part is being written, the network is at the next segment already."""
        overlap = OverlapAdd(grid)
        written: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="parts") as writer:
            for k in range(max(first - 1, 0), grid.count):
                self._check(new=k > first)
                began = time.monotonic()
                part = overlap.add(k, self.separator.separate(mix.samples, mix.mean, mix.deviation, k))
                if written:
                    written.result()
                if k >= first:
                    resumed = 2 if k == first > 0 else 1  # the one before was computed again for its overlap
                    written = writer.submit(self._write, k, part, resumed, time.monotonic() - began, renders)
            if written:
                written.result()

    def _write(
        self, number: int, part: NDArray[np.float32], segments: int, seconds: float, renders: list[Render]
    ) -> None:
        """Stores one part of every stem, then records it. Raises Overtaken."""
        values = {stem: parts.quantise(part[i]) for i, stem in enumerate(self.separator.stems)}
        for stem, stem_values in values.items():
            data, name = parts.encode(stem_values), self.upload.part(self._recipe, stem, number)
            patiently(lambda name=name, data=data: stores.objects().put(name, data, content_type="audio/flac"))  # type: ignore[misc]
        counts = self._add_clipped(values)
        self._progress(
            segments, {"parts": number + 1, "counted": number + 1, "speed": seconds, "attempts": 0, **counts}
        )
        self.new_parts += 1
        for render in renders:
            render.feed(values[render.output.stem])

    def _check(self, *, new: bool) -> None:
        """Whether to go on. An attempt makes at least one new part before its time limit can end it."""
        if self.lease.lost.is_set():
            raise Overtaken
        if draining.is_set() or (new and self.out_of_time()):
            raise GivenUp

    def _progress(self, segments: int, fields: dict[str, str | int | float]) -> None:
        lease = settings().lease_seconds
        if not patiently(lambda: stores.jobs().progress(self.claim, lease, segments, fields)):
            raise Overtaken

    # --- Before the loop ---

    @property
    def _recipe(self) -> str:
        return self.separator.recipe

    def _begin(self, mix: Mix, grid: Grid, first: int) -> None:
        """Records what is known now that the song is decoded."""
        rate = self.separator.samplerate
        lengths = {"total": grid.count, "step": grid.stride / rate, "seconds": mix.length / rate}
        self._progress(0, {**lengths, "parts": first, "recipe": self._recipe})

    def _mix(self, folder: Path) -> Mix:
        """The decoded song, with the statistics that the first worker at it found: all normalise alike."""
        original = patiently(lambda: stores.objects().open(self.upload.original(self.job.extension)))
        if original is None:
            raise BadAudio("The uploaded audio is not in the store any more; upload the song again.")
        path = folder / "original"
        try:
            with path.open("wb") as file:
                for piece in original:
                    file.write(piece)
        finally:
            original.close()
        with path.open("rb") as file:
            mix = decode(file, folder / "mix", self.separator.samplerate, settings().max_seconds)
        return self._normalised_alike(mix)

    def _normalised_alike(self, mix: Mix) -> Mix:
        name = self.upload.mix_statistics(self._recipe)
        known = patiently(lambda: stores.objects().read_json(name))
        if known is None:
            known = {"mean": mix.mean, "deviation": mix.deviation}
            patiently(lambda: stores.objects().put_json(name, known))
        return Mix(mix.samples, mix.length, known["mean"], known["deviation"])

    def _first_missing(self, grid: Grid) -> int:
        """The lowest part that is missing for any stem."""
        prefix = self.upload.recipe_parts(self._recipe)
        there = {stat.name for stat in patiently(lambda: list(stores.objects().list(prefix)))}
        for number in range(grid.count):
            if any(self.upload.part(self._recipe, stem, number) not in there for stem in self.separator.stems):
                return number
        return grid.count

    # --- Samples beyond full scale ---

    def _count_clipped(self, first: int) -> None:
        """Counts in parts that were stored but not recorded before a crash, or before Redis was emptied."""
        job = stores.jobs().get(self.job.song)
        self._clipped = {stem: (job.clipped.get(stem, 0) if job else 0) for stem in self.separator.stems}
        counted = job.counted if job else 0
        for number in range(counted, first):
            values = {stem: delivery.part(self.upload, self._recipe, stem, number) for stem in self.separator.stems}
            self._progress(0, {"counted": number + 1, **self._add_clipped(values)})

    def _add_clipped(self, values: dict[str, NDArray[np.int32]]) -> dict[str, int]:
        """The record's fields after these parts."""
        for stem, stem_values in values.items():
            self._clipped[stem] += parts.clipped(stem_values)
        return {f"clip:{stem}": count for stem, count in self._clipped.items()}

    # --- After the loop ---

    def _done(self, grid: Grid) -> Done:
        job = stores.jobs().get(self.job.song)
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
            clipped=dict(self._clipped),
        )
        patiently(lambda: stores.objects().put_json(self.upload.done, asdict(done)))
        return done

    def _renders(self, length: int) -> list[Render]:
        outputs = [output for output in map(parse_file, self.job.outputs) if output]
        return [Render(self.upload, output, length) for output in outputs]

    def _render_rest(self, done: Done) -> None:
        """What was asked for and could not be rendered along the way, since earlier parts are an earlier attempt's."""
        job = stores.jobs().get(self.job.song)
        made = set(job.files if job else ()) | set(self.failures)
        for output in [output for output in map(parse_file, self.job.outputs) if output and output.file not in made]:
            self._check(new=True)
            try:
                store(self.upload, output, delivery.render(self.upload, done, output))
            except MedleyError as error:
                self.failures[output.file] = told(error)
                logs.error("render failed", hash=self.job.song, file=output.file, error=error.detail)

    def outcome(self, done: Done) -> dict[str, str | int | float]:
        """The record's fields of a song that succeeded."""
        return done.record() | {f"unrendered:{file}": reason for file, reason in self.failures.items()}

    def clean_up(self) -> None:
        """After Overtaken: removes what it wrote if that is nobody's any more."""
        with suppress(MedleyError):
            job = stores.jobs().get(self.job.song)
            if job is not None and (job.upload_id != self.upload.id or job.status == "canceled"):
                stores.objects().remove_below(self.upload.prefix)


def failure(error: MedleyError) -> dict[str, str | int | float]:
    """The record's fields of a song that failed."""
    return {"error": json.dumps({"type": error.slug, "detail": error.detail})}
