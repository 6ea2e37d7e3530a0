"""The commands that talk to a medley service: separate, queue, status, get, remove, callbacks."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from medley.client.api import Answer, Medley
from medley.client.batch import Batch, Wanted
from medley.client.errors import ClientError
from medley.client.screen import FAILED, OK, Screen, clock, how

URL = "http://localhost:5000"
FOLDER = click.Path(file_okay=False, path_type=Path)
FORMAT = click.Choice(["mp3", "wav", "flac"])
PRECISION = click.Choice(["auto", "exact", "fast"])
EXIT_CODES = (
    "Exit codes: 0 all is well; 1 a song failed or was canceled, the service refused, or a file cannot be read or "
    "written; 2 wrong usage; 3 the service cannot be reached; 4 not found, or not ready yet."
)


def command(function: Callable[..., int]) -> click.Command:
    """A click command from a function of client, screen and its own options that returns the exit code."""

    @functools.wraps(function)
    def run(url: str, as_json: bool, **options: Any) -> None:
        screen = Screen(as_json)
        try:
            code = function(Medley(url, say=screen.note), screen, **options)
        except BrokenPipeError:  # whoever read what we print has enough: click ends it without a word
            raise
        except (ClientError, OSError) as error:
            code = screen.failed(error)
        sys.exit(code)

    made = click.command(epilog=EXIT_CODES)(run)
    made.params += [
        click.Option(["--url"], envvar="MEDLEY_URL", default=URL, show_default=True, help="Also MEDLEY_URL."),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON document a line on stdout."),
    ]
    return made


def _stems(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(stem.strip() for stem in value.split(",") if stem.strip())


@command
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=FOLDER, default="stems", show_default=True, help="The folder for the songs' folders.")
@click.option("--format", type=FORMAT, default="mp3", show_default=True, help="Of the files that are saved.")
@click.option("--stems", default="", callback=_stems, help="Only these, with commas: vocals,drums")
@click.option("--model", default="", help="One that the service offers, such as htdemucs.")
@click.option("--precision", type=PRECISION, help="exact: as Demucs; fast: 16 bits, partly 8; auto: what is faster.")
@click.option("--shifts", type=click.IntRange(min=0), help="Average so many passes, each shifted at random.")
@click.option("--overlap", type=click.FloatRange(min=0), help="Of a segment with the next, a fraction; usually 0.25.")
@click.option("--bitrate", type=click.IntRange(min=1), help="Of MP3 files, kbit/s.")
@click.option("--callback", default="", help="A URL for the service to call when a song has ended.")
def separate(client: Medley, screen: Screen, files: tuple[Path, ...], **options: Any) -> int:
    """Separate songs into stems, saved as OUT/<song>/<stem>.<format>."""
    return Batch(client, screen, Wanted(**options)).run(files)


@command
def queue(client: Medley, screen: Screen) -> int:
    """List the songs waiting or being separated, oldest first, and the workers."""
    answer = client.queue()
    for worker in answer.get("workers", []):
        at = f" at {worker['song']}" if worker.get("song") else ""
        kind = ", ".join(worker[key] for key in ("device", "precision", "model") if worker.get(key))
        screen.note(f"worker {worker['id']} ({kind}): {worker['state']}{at}")
    screen.result(answer, *answer["queue"])
    return OK


@command
@click.argument("hash")
def status(client: Medley, screen: Screen, hash: str) -> int:
    """Show how a song is getting on; ends with 1 if it failed or was canceled."""
    song = client.song(hash)
    screen.result(song, *_about(song))
    return FAILED if song["status"] in ("failed", "canceled") else OK


def _about(song: Answer) -> list[str]:
    """A song in a few lines."""
    parts = song["parts"]
    lines = [
        f"{song['name']}: {how(song)}",
        f"  {clock(song['seconds'])} min, {_how_separated(song)}, {parts['ready']} of {parts['total'] or '?'} parts",
    ]
    for stem in song["stems"]:
        files = ", ".join(f"{file['file']} ({file.get('error') or file.get('bytes')})" for file in stem["files"])
        lines.append(f"  {stem['stem']}: {files or 'made when it is fetched' if stem['ready'] else 'not ready'}")
    return lines


def _how_separated(song: Answer) -> str:
    """The model, and in which precision and on what it was computed last."""
    computed = song.get("computed") or []
    how = f" ({computed[-1]['precision']}, {computed[-1]['device']})" if computed else ""
    return f"{song['model']}{how}"


@command
@click.argument("hash")
@click.argument("track")
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    default=".",
    help="A file, or a folder; by default this one. -: stdout.",
)
@click.option("--bitrate", type=click.IntRange(min=1), help="Of an MP3 file, kbit/s.")
def get(client: Medley, screen: Screen, hash: str, track: str, out: Path, bitrate: int | None) -> int:
    """Save a track: vocals, vocals.wav, no_vocals.mp3, original."""
    to = sys.stdout.buffer if str(out) == "-" else out
    with screen.bytes_bar(track) as progress:
        path, size = client.track(hash, track, to, bitrate=bitrate, progress=progress)
    if path is None or not path.is_file():  # stdout may have the track, and then nothing else
        return OK
    screen.result({"hash": hash, "track": track, "file": str(path), "bytes": size}, str(path))
    return OK


@command
@click.argument("hash")
@click.argument("track", required=False)
def remove(client: Medley, screen: Screen, hash: str, track: str | None) -> int:
    """Remove a song and cancel its job, or remove one track of it."""
    reason = client.remove(hash, track)
    screen.result({"hash": hash, "track": track, "reason": reason}, reason)
    return OK


@command
@click.argument("hash")
@click.option("--again", metavar="ID", help="Send this one once more.")
def callbacks(client: Medley, screen: Screen, hash: str, again: str | None) -> int:
    """List a song's callbacks with every attempt, or send one once more."""
    if again is not None:
        reason = client.call_again(hash, again)
        screen.result({"hash": hash, "callback": again, "reason": reason}, reason)
        return OK
    found = client.callbacks(hash)
    screen.result({"callbacks": found}, *(line for callback in found for line in _calls(callback)))
    return OK


def _calls(callback: Answer) -> list[str]:
    """A callback in a few lines."""
    next_ = f", next at {callback['next_attempt']}" if callback["next_attempt"] else ""
    lines = [f"{callback['id']}: {callback['state']}, {callback['host']}{next_}"]
    for attempt in callback["attempts"]:
        came = attempt["status"] or attempt["error"]
        lines.append(f"  {attempt['at']}: {came} after {attempt['seconds']:.1f} s")
    return lines


COMMANDS: list[click.Command] = [separate, queue, status, get, remove, callbacks]
