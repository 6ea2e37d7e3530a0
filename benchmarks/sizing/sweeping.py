"""What a sweep costs where many songs are stored, and what reading all records again takes after Redis was emptied."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.report import Row
from benchmarks.service import MB, song
from benchmarks.sizing import songs
from benchmarks.sizing.backbone import Backbone
from medley import names
from medley.settings import Settings

SONGS, OBJECTS = 40, 150  # so many of a song: 36 parts of four stems, and some files; 3.5 minutes by htdemucs
ROUNDS = 3
Found = dict[str, Any]


def measure(backbone: Backbone) -> Found:
    """Seconds, requests and commands of one sweep of a page, and of the whole when Redis was emptied."""
    _store(backbone)
    stored = sum(1 for _ in backbone.objects.list())
    with songs.function(backbone, "sweep") as port:
        backbone.redis.flushdb()
        whole = _sweep(backbone, port)
        pages = [_sweep(backbone, port) for _ in range(ROUNDS)]
    page = {what: round(sum(one[what] for one in pages) / ROUNDS, 4) for what in whole}
    return {"songs": SONGS, "objects": stored, "page_objects": Settings().sweep_page, "page": page, "emptied": whole}


def _sweep(backbone: Backbone, port: int) -> Found:
    before, start = backbone.counts(), time.perf_counter()
    songs.post(port, songs.event(names.PING, {}))
    seconds, spent = time.perf_counter() - start, backbone.counts() - before
    return {"seconds": round(seconds, 3), "redis": spent.redis.total(), "s3": spent.s3.total()}


def _store(backbone: Backbone) -> None:
    """Copies of one separated song, padded with parts so that each has as many objects as a usual one."""
    (name,) = songs.upload(backbone, song(MB // 2))
    songs.separate(backbone, name)
    upload = names.Upload(name, backbone.redis.hget(names.song_key(name), "upload"))
    stats = [stat.name.removeprefix(upload.prefix) for stat in backbone.objects.list(upload.prefix)]
    found = {file: _head(backbone, upload.prefix + file) for file in stats}
    (part, *_) = (file for file in found if file.endswith("/000000.flac"))
    number = range(1000, 1000 + OBJECTS - len(found))
    found |= {part.replace("000000", f"{one:06d}"): b"-" for one in number}
    with ThreadPoolExecutor(8) as pool:
        for _ in range(SONGS):
            copy = names.Upload(uuid.uuid4().hex * 2, upload.id)
            list(pool.map(lambda item, copy=copy: _put(backbone, copy.prefix + item[0], item[1]), found.items()))  # type: ignore[misc]


def _head(backbone: Backbone, name: str) -> bytes:
    """What is read again has to be whole; of audio the name is enough."""
    return bytes(backbone.objects.read(name)) if name.endswith(".json") else b"-"


def _put(backbone: Backbone, name: str, data: bytes) -> None:
    backbone.objects.put(name, data, content_type="application/octet-stream")


def rows(found: Found) -> list[Row]:
    page, whole = found["page"], found["emptied"]
    return [
        (
            f"a sweep of a page ({found['page_objects']} objects), of {found['objects']} stored",
            f"{page['seconds']:.2f} s, {page['redis']:.0f} commands, {page['s3']:.1f} requests",
        ),
        (
            f"all records of {found['songs']} songs read again",
            f"{whole['seconds']:.2f} s, {whole['redis']:.0f} commands, {whole['s3']:.0f} requests",
        ),
    ]
