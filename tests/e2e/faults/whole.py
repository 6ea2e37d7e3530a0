"""Whether Redis and S3 say the same: no object without a record, no record without its objects, nothing left to do."""

from collections.abc import Iterator

from medley.job import Job, read_job
from medley.models import MODELS
from medley.output import parse_file
from medley.removal import is_of
from tests.e2e.harness import Service

States = dict[str, str]  # of callbacks, by id


def differences(service: Service) -> list[str]:
    """What does not fit together; empty when everything does."""
    objects = set(service.objects())
    jobs = {key[5:]: read_job(key[5:], service.redis.hgetall(key)) for key in service.redis.scan_iter("song:*")}
    states = {key[9:]: service.redis.hget(key, "state") for key in service.redis.scan_iter("callback:*")}
    found = [f"object without a record: {name}" for name in sorted(objects) if not _recorded(name, jobs, states)]
    for job in jobs.values():
        found += [f"{job.status} record without its object: {name}" for name in _wanted(job, states) - objects]
        found += _unfinished(job, service)
    return found + list(_loose_ends(jobs, states, service))


def _recorded(name: str, jobs: dict[str, Job], states: States) -> bool:
    """Whether an object follows from its song's record."""
    song, upload, file = name.split("/", 2)
    job = jobs.get(song)
    if job is None or job.upload_id != upload or job.status == "canceled":
        return False
    if any(is_of(track, file, MODELS[job.model].stems) for track in job.removed):
        return False
    match file.split("/"):
        case ["callbacks", callback]:
            id_ = callback.removesuffix(".json")
            return id_ in job.callbacks and states.get(id_) in ("waiting", "due")
        case ["parts", recipe, *_]:
            return recipe == job.recipe
        case [rendered] if parse_file(rendered):
            return rendered in job.files
    return file in ("song.json", "done.json", f"original.{job.extension}")


def _wanted(job: Job, states: States) -> set[str]:
    """The objects that a record speaks of."""
    if job.status == "canceled":
        return set()
    upload = job.upload
    names = {upload.manifest, *(upload.callback(id_) for id_ in job.callbacks if states.get(id_) in ("waiting", "due"))}
    if "original" not in job.removed:
        names.add(upload.original(job.extension))
    if job.status == "succeeded":
        stems = [stem for stem in MODELS[job.model].stems if stem not in job.removed]
        names |= {upload.part(job.recipe, stem, number) for stem in stems for number in range(job.total)}
        names |= {upload.done, upload.mix_statistics(job.recipe), *map(upload.rendered, job.files)}
    return names


def _unfinished(job: Job, service: Service) -> Iterator[str]:
    places = service.redis.lrange("toWorker", 0, -1).count(job.song)
    if places != (0 if job.ended else 1):
        yield f"{job.status} song {job.song} stands {places} times in the queue"
    if job.ended and service.redis.exists(f"lease:{job.song}"):
        yield f"{job.status} song {job.song} is held"


def _loose_ends(jobs: dict[str, Job], states: States, service: Service) -> Iterator[str]:
    yield from (f"removal not finished: {entry}" for entry in service.redis.smembers("removing"))
    yield from (f"event not published: {event}" for event in service.redis.zrange("outbox", 0, -1))
    yield from (
        f"queued without a record: {song}" for song in service.redis.lrange("toWorker", 0, -1) if song not in jobs
    )
    due = service.redis.zrange("callbacks", 0, -1)
    yield from (f"callback due, but {states.get(id_)}: {id_}" for id_ in due if states.get(id_) != "due")
    yield from (f"callback not due: {id_}" for id_, state in states.items() if state == "due" and id_ not in due)
