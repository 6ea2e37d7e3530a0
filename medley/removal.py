"""Removing the objects of a song or of one of its tracks; whoever was interrupted, another goes on."""

from collections.abc import Sequence

from medley import stores
from medley.job import Job
from medley.names import Upload
from medley.output import parse_file
from medley.settings import settings


def remove_song(upload: Upload) -> None:
    """Removes everything of an upload that is marked as removed: first what makes it accepted, then the rest."""
    stores.objects().remove([upload.manifest])
    stores.objects().remove_below(upload.prefix)
    stores.jobs().forget(upload, settings().keep_canceled_seconds)


def remove_track(upload: Upload, track: str, job: Job | None) -> None:
    """Removes the parts of a stem and every file made with it, or the original, once it is marked as removed."""
    stems = job.stems if job else ()
    found = [stat.name for stat in stores.objects().list(upload.prefix)]
    gone = [name for name in found if is_of(track, name.removeprefix(upload.prefix), stems)]
    stores.objects().remove(gone)
    files = [name.removeprefix(upload.prefix) for name in gone]
    stores.jobs().forget_track(upload, track, [file for file in files if parse_file(file)])


def is_of(track: str, name: str, stems: Sequence[str]) -> bool:
    """Whether an object, named below its upload's prefix, belongs to a track or was made with it."""
    if track == "original":
        return name.startswith("original.")
    folders = name.split("/")
    if folders[0] == "parts":
        return len(folders) > 2 and folders[2] == track
    output = parse_file(name)
    return output is not None and track in output.sources(tuple(stems))
