"""Records that Redis lost, as they follow from a song's objects."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from medley import logs, names, stores
from medley.callback import Callback
from medley.names import Upload
from medley.output import parse_file
from medley.song import Done, Song
from medley.stores.objects import Stat


@dataclass(frozen=True)
class Restored:
    """A record as it follows from an upload's objects."""

    upload: Upload
    created: float
    fields: dict[str, str | int | float]
    callbacks: tuple[Callback, ...]
    instead_of: str = ""  # the upload of a record that ended before it

    @property
    def rank(self) -> tuple[bool, float]:
        """Of several uploads of a song the one to go on with: one that is whole, else the newest."""
        lost = any(field.startswith(names.REMOVED) and field != f"{names.REMOVED}original" for field in self.fields)
        return self.fields["status"] == "succeeded" and not lost, self.created


def restore(restored: Restored) -> None:
    """Puts a record and its callbacks back, unless somebody was quicker."""
    if stores.jobs().restore(restored.upload, restored.fields, restored.callbacks, restored.instead_of):
        logs.info("record restored", hash=restored.upload.song, status=restored.fields["status"])


def read_record(upload: Upload, found: Sequence[Stat]) -> Restored | None:
    """Succeeded if the separation is whole, else queued; None when the upload is being removed just now."""
    manifest = stores.objects().read_json(upload.manifest)
    if manifest is None:
        return None
    song = Song.read(manifest)
    fields: dict[str, str | int | float] = {"status": "queued", **song.record()}
    done = stores.objects().read_json(upload.done)
    if done:
        fields |= _done(upload, Done.read(done), found)
    calls = [read_stored(upload, stat.name) for stat in found if stat.name.startswith(upload.callbacks)]
    return Restored(upload, song.created, fields, tuple(callback for callback in calls if callback))


def read_stored(upload: Upload, name: str) -> Callback | None:
    """A callback from its object, None when it was settled just now."""
    about = stores.objects().read_json(name)
    if about is None:
        return None
    return Callback(
        id=callback_id(upload, name),
        url=about["url"],
        data=about.get("data"),
        has_data="data" in about,
        created=about["created"],
        song=upload.song,
        upload_id=upload.id,
    )


def callback_id(upload: Upload, name: str) -> str:
    """The id of a callback from its object's name."""
    return name.removeprefix(upload.callbacks).removesuffix(".json")


def _done(upload: Upload, done: Done, found: Sequence[Stat]) -> dict[str, str | int | float]:
    """The fields of a song whose separation is whole."""
    finished = max(stat.modified for stat in found if stat.name == upload.done)
    files = {stat.name.removeprefix(upload.prefix): stat.size for stat in found}
    rendered = {f"{names.FILE}{file}": size for file, size in files.items() if parse_file(file)}
    return {"status": "succeeded", "finished": finished, **done.record(), **rendered, **_removed(upload, done, found)}


def _removed(upload: Upload, done: Done, found: Sequence[Stat]) -> dict[str, float]:
    """Tracks of a whole separation that are not there: somebody removed them."""
    there = {stat.name for stat in found}
    gone = [stem for stem in done.stems if upload.part(done.recipe, stem, 0) not in there]
    if not any(name.startswith(f"{upload.prefix}original.") for name in there):
        gone.append("original")
    return {f"{names.REMOVED}{track}": time.time() for track in gone}
