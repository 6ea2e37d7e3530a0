"""Songs from files to folders of stems: all are sent first, so that the service never waits for us."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medley.client.api import Answer, Medley
from medley.client.errors import BadCall, MedleyProblem
from medley.client.folders import safe_name, song_folder
from medley.client.screen import FAILED, OK, Screen, error_record, exit_code, how
from medley.client.upload import song_name


@dataclass(frozen=True)
class Wanted:
    """What to make of each song; empty: as the service does. `bitrate` in kbit/s."""

    out: Path
    format: str
    stems: tuple[str, ...] = ()
    model: str = ""
    precision: str | None = None
    shifts: int | None = None
    overlap: float | None = None
    bitrate: int | None = None
    callback: str = ""


@dataclass
class Result:
    """What became of one file."""

    file: str
    hash: str = ""
    reason: str = ""
    status: str = ""
    folder: str = ""
    stems: dict[str, str] = field(default_factory=dict)  # path by stem
    error: dict[str, Any] | None = None
    code: int = OK

    def document(self) -> dict[str, Any]:
        """For scripts."""
        about = asdict(self)
        del about["code"]
        return about


class Batch:
    """Sends files, waits for each song in turn and saves its stems. An error of one file leaves the others alone."""

    def __init__(self, client: Medley, screen: Screen, wanted: Wanted) -> None:
        self._client = client
        self._screen = screen
        self._wanted = wanted
        self.results: list[Result] = []

    def run(self, files: Sequence[Path]) -> int:
        """Returns the exit code: that of the first file that failed. Raises Unreachable."""
        self.results = [Result(str(file)) for file in files]
        for result in self.results:
            self._try(self._send, result)
        for result in self.results:
            if result.hash:
                self._try(self._fetch, result)
            self._screen.result(result.document(), *result.stems.values())
        return next((result.code for result in self.results if result.code), OK)

    def _try(self, step: Callable[[Result], None], result: Result) -> None:
        try:
            step(result)
        except (BadCall, MedleyProblem, OSError) as error:
            self._screen.note(f"{result.file}: {error}")
            result.error, result.code = error_record(error), exit_code(error)

    def _send(self, result: Result) -> None:
        path = Path(result.file)
        options = {name: value for name, value in vars(self._wanted).items() if name != "out"}
        with self._screen.bytes_bar(f"{path.name}: sending") as progress:
            result.hash, result.reason = self._client.separate(path, progress=progress, **options)
        self._screen.note(f"{result.file}: {result.reason}: {result.hash}")

    def _fetch(self, result: Result) -> None:
        name = song_name(Path(result.file))
        with self._screen.song_bar(name) as progress:
            song = self._client.wait(result.hash, progress)
        result.status = song["status"]
        if result.status != "succeeded":
            self._screen.note(f"{result.file}: {how(song)}")
            result.code, result.error = FAILED, song.get("error")
            return
        about = {key: song.get(key) for key in ("name", "model", "seconds")}
        folder = song_folder(self._wanted.out, name, result.hash, about)
        result.folder = str(folder)
        for stem in self._wanted.stems or _stems(song):
            result.stems[stem] = self._save(result.hash, stem, folder)

    def _save(self, song: str, stem: str, folder: Path) -> str:
        """One stem; one that was not rendered before is rendered as it comes."""
        file = f"{stem}.{self._wanted.format}"
        bitrate = self._wanted.bitrate if self._wanted.format == "mp3" else None
        with self._screen.bytes_bar(f"{file}: saving") as progress:
            path, _ = self._client.track(song, file, folder / safe_name(file), bitrate=bitrate, progress=progress)
        return str(path)


def _stems(song: Answer) -> list[str]:
    return [stem["stem"] for stem in song["stems"]]
