"""The song that a worker separates: its original, decoded, and normalised as every other worker would."""

from dataclasses import replace
from pathlib import Path

from functions.separate.patience import patiently
from medley import stores
from medley.audio import Mix, decode
from medley.errors import BadAudio
from medley.job import Job
from medley.settings import settings


def decoded(job: Job, folder: Path) -> Mix:
    """The song's samples, in files below `folder`. Raises BadAudio, Unavailable."""
    path = folder / "original"
    patiently(lambda: _download(job, path))
    with path.open("rb") as file:
        return decode(file, folder / "mix", max_seconds=settings().max_seconds)


def _download(job: Job, path: Path) -> None:
    original = stores.objects().open(job.upload.original(job.extension))
    if original is None:
        raise BadAudio("The uploaded audio is not in the store any more; upload the song again.")
    try:
        with path.open("wb") as file:
            for piece in original:
                file.write(piece)
    finally:
        original.close()


def normalised_alike(job: Job, recipe: str, mix: Mix) -> Mix:
    """With the statistics that the first worker at the song found, by whatever decoder it had."""
    name = job.upload.mix_statistics(recipe)
    known = patiently(lambda: stores.objects().read_json(name))
    if known is None:
        known = {"mean": mix.mean, "deviation": mix.deviation}
        patiently(lambda: stores.objects().put_json(name, known))
    return replace(mix, mean=known["mean"], deviation=known["deviation"])
