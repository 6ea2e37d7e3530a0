"""The song that a worker separates: its original, decoded, and normalised as every other worker would."""

from dataclasses import replace
from tempfile import TemporaryFile
from typing import BinaryIO

from functions.separate.patience import patiently
from medley import stores
from medley.audio import Mix, decode
from medley.errors import BadAudio, Unavailable
from medley.job import Job
from medley.settings import settings


def decoded(job: Job) -> Mix:
    """The song's samples. Raises BadAudio, and Unavailable where S3 is away or the disk full.

    They are on disk, in files without a name: whatever ends this process, nothing of them stays there.
    """
    try:
        with TemporaryFile() as original, TemporaryFile() as samples:
            patiently(lambda: _download(job, original))
            original.seek(0)
            return decode(original, samples, max_seconds=settings().max_seconds)
    except OSError as error:
        raise Unavailable(f"The disk of this worker takes no song: {error.strerror}.", retry_after=60) from error


def _download(job: Job, file: BinaryIO) -> None:
    original = stores.objects().open(job.upload.original(job.extension))
    if original is None:
        raise BadAudio("The uploaded audio is not in the store any more; upload the song again.")
    try:
        file.seek(0)
        file.truncate()  # what an earlier try had got
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
