"""Every name that is stored or sent: functions, routes, Redis keys, S3 objects, event types."""

import re
from dataclasses import dataclass

# --- Functions and the routes they answer (below /apiv1/, by first path segment) --------------------------------------

FUNCTIONS = ("upload", "queue", "song", "fetch", "delete", "separate", "callback", "sweep", "logsink")

API = "/apiv1"
ROUTES = {
    "separate": "upload",  # POST /apiv1/separate
    "queue": "queue",  # GET /apiv1/queue
    "songs": "song",  # GET /apiv1/songs/<hash>, POST /apiv1/songs/<hash>/callbacks/<id>
    "track": "fetch",  # GET /apiv1/track/<hash>/<track>
    "parts": "fetch",  # GET /apiv1/parts/<hash>/<stem>/<n>
    "remove": "delete",  # DELETE /apiv1/remove/<hash>[/<track>]
}


def track_path(song: str, track: str) -> str:
    """Where a track is fetched, below the address of the service."""
    return f"{API}/track/{song}/{track}"


# --- Redis ------------------------------------------------------------------------------------------------------------

TO_WORKER = "toWorker"  # list: hashes waiting or being worked on, oldest first; removed when the job ends
CALLBACKS = "callbacks"  # sorted set: callback ids by the time of their next attempt (s since 1970)
OUTBOX = "outbox"  # sorted set: structured events not yet known to be published, by the time they were put here
REMOVING = "removing"  # set: "<hash>/<upload>" or "<hash>/<upload>/<track>" whose objects are being removed
WORKERS = "workers"  # sorted set: worker ids by the time they were last seen
LOGGING = "logging"  # list: log lines "{host}.{function}.{info|debug|error}:{message}", capped
MARKER = "medley:marker"  # string: set once the records were rebuilt from S3; missing means Redis was emptied
SWEEP_CURSOR = "medley:sweep"  # string: the object name after which the next sweep goes on listing


# Fields of a job record of which there may be many: prefix, and what follows it
CLIPPED = "clip:"  # + stem: samples clamped in 16-bit files
FILE = "file:"  # + rendered file: bytes
UNRENDERED = "unrendered:"  # + file that was asked for in vain: reason
REMOVED = "removed:"  # + stem or "original": when
CALLBACK = "callback:"  # + id of a callback: empty


def song_key(song: str) -> str:
    """hash: the job record (see medley/job.py for its fields). Ends a day after a removal, else never."""
    return f"song:{song}"


def lease_key(song: str) -> str:
    """string, the attempt's token, expires: shows that a worker lives."""
    return f"lease:{song}"


def worker_key(worker: str) -> str:
    """string, JSON, expires: device, precision, model, state and song of a worker."""
    return f"worker:{worker}"


def callback_key(callback: str) -> str:
    """hash: one callback: url, data, song, upload, state, attempts. Ends two days after its last attempt, or sooner if
    its song gets many more."""
    return f"callback:{callback}"


# --- S3, bucket `songs` -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    """One accepted upload of a song: the objects below `<hash>/<id>/`."""

    song: str
    id: str

    @property
    def prefix(self) -> str:
        return f"{self.song}/{self.id}/"

    def original(self, extension: str) -> str:
        """The audio as it came; the extension is the probe's, never the client's."""
        return f"{self.prefix}original.{extension}"

    @property
    def manifest(self) -> str:
        """Name, options and time; written last: it is what makes an upload accepted."""
        return f"{self.prefix}song.json"

    @property
    def done(self) -> str:
        """Parts, lengths, model, weights, precision: the separation is whole."""
        return f"{self.prefix}done.json"

    @property
    def callbacks(self) -> str:
        """Prefix of the callbacks that are not settled yet."""
        return f"{self.prefix}callbacks/"

    def callback(self, callback: str) -> str:
        """One callback's url and data; stands until the callback is settled."""
        return f"{self.callbacks}{callback}.json"

    @property
    def parts(self) -> str:
        """Prefix of the parts of every recipe."""
        return f"{self.prefix}parts/"

    def recipe_parts(self, recipe: str) -> str:
        """Prefix of the parts of one recipe: workers that cannot separate alike never mix their parts."""
        return f"{self.parts}{recipe}/"

    def mix_statistics(self, recipe: str) -> str:
        """Mean and deviation of the whole mix, by which every worker normalises alike."""
        return f"{self.recipe_parts(recipe)}mix.json"

    def part(self, recipe: str, stem: str, number: int) -> str:
        """One step of one stem, FLAC, 24 bit at half amplitude."""
        return f"{self.recipe_parts(recipe)}{stem}/{number:06d}.flac"

    def rendered(self, file: str) -> str:
        """A rendered file, `file` as named by `medley.output.Output.file`."""
        return f"{self.prefix}{file}"


# --- CloudEvents ------------------------------------------------------------------------------------------------------

SONG_UPLOADED = "dev.medley.song.uploaded.v1"
SONG_SEPARATED = "dev.medley.song.separated.v1"
SONG_FAILED = "dev.medley.song.failed.v1"
SONG_REMOVED = "dev.medley.song.removed.v1"
CALLBACK_DUE = "dev.medley.callback.due.v1"
LOG_WRITTEN = "dev.medley.log.written.v1"
PING = "dev.knative.sources.ping"

EVENTS = (SONG_UPLOADED, SONG_SEPARATED, SONG_FAILED, SONG_REMOVED, CALLBACK_DUE, LOG_WRITTEN)


def source(function: str) -> str:
    """The CloudEvents `source` of what a function emits."""
    return f"/functions/{function}"


# --- Headers of callbacks ---------------------------------------------------------------------------------------------

HASH, STATUS = "medley-hash", "medley-status"
TELLING = ("medley-", "webhook-")  # how those begin that tell of a callback: ours, and those of Standard Webhooks


# --- What may stand in a path -----------------------------------------------------------------------------------------

_HASH = re.compile(r"[0-9a-f]{64}")


def is_hash(text: str) -> bool:
    """Whether `text` has the shape of a song's hash."""
    return _HASH.fullmatch(text) is not None
