"""What `benchmarks.separate` runs in turns: stock Demucs and our function, cold and warm, on a song and its cut."""

import wave
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from benchmarks import stock
from benchmarks.child import Child, Run
from benchmarks.quality import decoded
from benchmarks.separating import Separate
from benchmarks.service import Service, asleep

CUT = 30.0  # s of the song for whole processes
RATE = 44100  # Hz
PRECISIONS = ("exact", "auto")
COMMAND_LINE = "demucs, command line"


class Measured(Protocol):
    def __call__(self) -> Run: ...


@dataclass(frozen=True)
class Case:
    """Who separates what, and how: compared with the command line on the same song in the same format."""

    song: str
    by: str
    format: str
    seconds: float  # of the song
    run: Measured

    @property
    def name(self) -> str:
        return f"{self.song} to {self.format}: {self.by}"


@dataclass
class Bench:
    """The songs, the service, and a warm process of each kind, started when it is first needed."""

    song: Path
    threads: int
    device: str  # cpu or cuda
    folder: Path
    service: Service
    stack: ExitStack
    warm_ones: dict[str, Any] = field(default_factory=dict)
    known: dict[tuple[Path, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        mix = decoded(self.song)
        self.seconds = mix.length / RATE
        self.cut = self.folder / "cut.wav"
        self.cut_seconds = _cut(mix.samples, self.cut)

    def upload(self, song: Path, precision: str, format_: str) -> str:
        """The song, as if it had never been there."""
        if known := self.known.get((song, precision)):
            self.service.remove(known)
        name = self.service.upload(song.read_bytes(), "audio/x-any", precision=precision, format=format_)
        self.known[song, precision] = name
        return name

    def process(self, precision: str) -> Separate:
        return Separate(self.service, self.threads, PRECISION=precision, DEVICE=self.device)

    def cold(self, precision: str) -> Run:
        """From the start of the process."""
        name = self.upload(self.cut, precision, "mp3")
        with self.process(precision) as separate:
            return separate.separate(name, separate.began)

    def warm(self, precision: str, format_: str) -> Run:
        """A song more, by a process that has its model."""
        if precision not in self.warm_ones:
            self.warm_ones[precision] = self.stack.enter_context(self.process(precision))
            self.warm_ones[precision].separate(self.upload(self.cut, precision, "wav"))
        found: Run = self.warm_ones[precision].separate(self.upload(self.song, precision, format_))
        return found

    def stock_warm(self, format_: str) -> Run:
        """Demucs' own classes, with the model loaded."""
        if "stock" not in self.warm_ones:
            environment = stock.environment(self.threads)
            self.warm_ones["stock"] = self.stack.enter_context(
                Child("benchmarks.stock", self.device, environment=environment)
            )
            self.warm_ones["stock"].ask(song=str(self.cut), format="wav", out=str(self.folder))
        found: Run = self.warm_ones["stock"].run(song=str(self.song), format=format_, out=str(self.folder))[0]
        return found

    def command_line(self, song: Path, format_: str) -> Run:
        return stock.command_line(song, format_, self.folder, self.threads, self.device)


def cases(bench: Bench, parts: Sequence[str], formats: Sequence[str]) -> Iterator[Case]:
    """Each after the command line that it is compared with."""
    if "whole" in parts:
        about = ("cut", "mp3", bench.cut_seconds)
        yield _case(*about, COMMAND_LINE, partial(bench.command_line, bench.cut, "mp3"))
        for precision in PRECISIONS:
            yield _case(*about, f"ours, {precision}, cold", partial(bench.cold, precision))
    for format_ in formats if "warm" in parts else ():
        about = ("song", format_, bench.seconds)
        yield _case(*about, COMMAND_LINE, partial(bench.command_line, bench.song, format_))
        yield _case(*about, "demucs, warm", partial(bench.stock_warm, format_))
        for precision in PRECISIONS:
            yield _case(*about, f"ours, {precision}, warm", partial(bench.warm, precision, format_))


def _case(song: str, format_: str, seconds: float, by: str, run: Measured) -> Case:
    return Case(song, by, format_, seconds, run)


def _cut(samples: Any, path: Path) -> float:
    """The first seconds of a song as a WAV file; how many."""
    first = np.clip(np.rint(samples[:, : int(CUT * RATE)] * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((2, 2, RATE, 0, "NONE", ""))
        out.writeframes(np.ascontiguousarray(first.T).tobytes())
    return float(first.shape[1] / RATE)


@contextmanager
def prepared(song: Path, threads: int, device: str) -> Iterator[Bench]:
    """Everything but the processes to be measured."""
    with TemporaryDirectory(prefix="medley-bench-") as folder, asleep([stock.MODEL]) as service, ExitStack() as stack:
        yield Bench(song, threads, device, Path(folder), service, stack)
