"""medley's HTTP API as a Python object: songs in, stems out."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from medley.client.download import Download, save
from medley.client.errors import ClientError, MedleyProblem, Unreachable
from medley.client.transport import Body, Say, Transport, path_of
from medley.client.upload import MAX_NAME, Progress, Upload, content_type, song_name

Answer = dict[str, Any]  # as contract/openapi.yaml describes it
ENDED = ("succeeded", "failed", "canceled")
AWAY = (502, 503, 504)  # what a gateway says, or the service itself, when a part of it does not answer
LOST = 5  # polls in a row without an answer, after which waiting ends: a service that restarts is back by then


class Accepted(NamedTuple):
    """What the service says to an upload."""

    hash: str
    reason: str


class Medley:
    """A medley service. `timeout` in seconds, for each wait for bytes; `say` is told what is being waited for.

    Every call raises MedleyProblem for a problem answer and Unreachable when there is none; both are ClientError.
    """

    def __init__(self, url: str = "http://localhost:5000", timeout: float = 60.0, *, say: Say | None = None) -> None:
        self._transport = Transport(url, timeout, say)

    @property
    def url(self) -> str:
        return self._transport.url

    def separate(
        self,
        audio: Path | str | BinaryIO,
        *,
        name: str = "",
        model: str = "",
        precision: str | None = None,
        shifts: int | None = None,
        overlap: float | None = None,
        stems: Sequence[str] = (),
        format: str = "",
        bitrate: int | None = None,
        callback: str = "",
        progress: Progress | None = None,
    ) -> Accepted:
        """Sends a song from a path or an open file, from disk piece by piece. `bitrate` in kbit/s.

        `precision` is "auto", "exact" or "fast", `shifts` a number of passes, `overlap` a fraction of a segment.
        What is empty is left to the service. Raises OSError when the file cannot be read.
        """
        path = Path(audio) if isinstance(audio, Path | str) else None
        name = name or (song_name(path) if path else "")
        asked: dict[str, object] = {"song_name": name[:MAX_NAME], "callback": callback}
        asked |= {"model": model, "precision": precision, "shifts": shifts, "overlap": overlap}
        asked |= {"stems": ",".join(stems), "format": format, "bitrate": bitrate}
        query = {key: str(value) for key, value in asked.items() if value not in (None, "")}
        headers = {"Content-Type": content_type(path.name if path else "")}
        with path.open("rb") if path else nullcontext(audio) as file:
            body = Upload(file, progress)  # type: ignore[arg-type]  # a path was opened above
            try:
                answer = self._json("POST", path_of("separate"), query=query, headers=headers, body=body)
            except Unreachable:
                if body.trouble:
                    raise body.trouble from None
                raise
        return Accepted(self._text(answer, "hash"), self._text(answer, "reason"))

    def song(self, hash: str) -> Answer:
        """How a song is getting on."""
        return self._json("GET", path_of("songs", hash))

    def queue(self) -> Answer:
        """The songs waiting or being worked on, oldest first, and the workers."""
        return self._json("GET", path_of("queue"))

    def wait(
        self, hash: str, progress: Callable[[Answer], None] | None = None, *, poll: float = 0.5, longest: float = 3.0
    ) -> Answer:
        """The song once it has succeeded, failed or been canceled; `progress` gets it at every look before.

        Looks every `poll` seconds at first and ever less often, down to every `longest` seconds.
        """
        lost = 0
        while True:
            try:
                song = self.song(hash)
            except (Unreachable, MedleyProblem) as error:
                lost += 1
                if lost >= LOST or not _passes(error):
                    raise
            else:
                lost = 0
                if progress:
                    progress(song)
                if song.get("status") in ENDED:
                    return song
            time.sleep(poll)
            poll = min(poll * 1.25, longest)

    def track(
        self,
        hash: str,
        track: str,
        to: Path | str | BinaryIO,
        *,
        bitrate: int | None = None,
        progress: Progress | None = None,
    ) -> tuple[Path | None, int]:
        """Downloads `vocals`, `vocals.wav`, `no_vocals.mp3`, `original`...; returns where it is and its bytes.

        Into a path, into a folder under the service's name for it, or into an open file. A path is there only when it
        is whole; a download that is cut goes on after its last byte. `bitrate` in kbit/s, of an MP3. Raises OSError.
        """
        query = {"bitrate": str(bitrate)} if bitrate else {}
        download = Download(self._transport, path_of("track", hash, track), query, progress)
        if isinstance(to, Path | str):
            return save(download, Path(to), track)
        return None, download.run(to)

    def part(self, hash: str, stem: str, n: int) -> bytes:
        """Part `n`, from 0, of a stem, as soon as it is separated: a FLAC file, 24 bit at half amplitude."""
        answer = self._transport.open("GET", path_of("parts", hash, stem, str(n)))
        with self._transport.reading():
            return answer.data

    def remove(self, hash: str, track: str | None = None) -> str:
        """Removes a song and cancels its job, or removes one track of a song that has succeeded. Returns the reason."""
        segments = ("remove", hash) if track is None else ("remove", hash, track)
        return self._text(self._json("DELETE", path_of(*segments)), "reason")

    def callbacks(self, hash: str) -> list[Answer]:
        """The callbacks of a song, with every attempt."""
        return list(self.song(hash).get("callbacks", []))

    def call_again(self, hash: str, id: str) -> str:
        """Sends a callback once more. Returns the reason."""
        return self._text(self._json("POST", path_of("songs", hash, "callbacks", id)), "reason")

    def _json(self, method: str, path: str, *, body: Body | None = None, **options: Any) -> Answer:
        """A JSON object. Raises Unreachable for anything else: then something else than medley listens there."""
        answer = self._transport.open(method, path, body=body, **options)
        with self._transport.reading():
            text = answer.data
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Unreachable(self.url, "answers, but not as medley does: is it another service's address?")
        return value

    def _text(self, answer: Answer, name: str) -> str:
        value = answer.get(name)
        if not isinstance(value, str):
            raise Unreachable(self.url, f'answers without "{name}": is it another service\'s address?')
        return value


def _passes(error: ClientError) -> bool:
    """Whether the same question may be answered in a moment."""
    return not isinstance(error, MedleyProblem) or error.status in AWAY


__all__ = ["Accepted", "Answer", "ClientError", "Medley", "MedleyProblem", "Unreachable"]
