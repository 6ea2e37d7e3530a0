"""Where a fault is played: a service, what was posted to it, and ways to break it at the right moment."""

import contextlib
import io
import json
import os
import signal
import socket
import threading
import time
import urllib.request
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medley.names import Upload
from tests import sounds
from tests.e2e.faults.whole import differences
from tests.e2e.harness import QUICK, Called, Service, eventually

STEMS = ("drums", "bass", "other", "vocals")
STEP = 1.5  # s of audio in a part
LONGEST = 200.0  # s until a song must have ended, also on a busy machine
Reference = Callable[[bytes], dict[str, NDArray[np.float64]]]


def music(parts: int, seed: int = 0) -> bytes:
    """Decaying chords and noise, of so many parts, as a WAV file."""
    random = np.random.default_rng(seed)
    t = np.arange(round((parts * STEP + 0.4) * sounds.RATE)) / sounds.RATE
    chords = [np.sin(2 * np.pi * f * t) * np.exp(-3 * (t % p)) for f, p in ((110, 1.0), (277, 0.75), (660, 0.5))]
    noise = random.standard_normal((2, len(t))) * np.exp(-8 * (t % 0.5))
    return sounds.wav((0.2 * sum(chords) + 0.1 * noise).astype(np.float32))


@dataclass
class Stage:
    """One fault's service, and what the fault's test did to it."""

    service: Service
    called: Called
    undisturbed: Reference
    songs: dict[str, bytes] = field(default_factory=dict)
    began: float = field(default_factory=time.time)

    # --- Songs ---

    def post(self, audio: bytes, callback: str = "", format: str = "wav") -> str:
        song = self.service.client.separate(io.BytesIO(audio), format=format, callback=callback).hash
        self.songs[song] = audio
        return song

    def upload(self, song: str) -> Upload:
        return Upload(song, self.service.record(song)["upload"])

    def claimed(self, song: str, before: str = "") -> dict[str, str]:
        """The song's record once a worker holds it with another token than the one `before`."""

        def look() -> dict[str, str] | None:
            record = self.service.record(song)
            return record if record.get("token", before) != before else None

        return eventually(look, LONGEST, pause=0.02)

    def parts(self, song: str, number: int) -> None:
        """Waits until that many parts are on record."""
        eventually(lambda: int(self.service.record(song).get("parts", "-1")) >= number, LONGEST, pause=0.02)

    def stored_parts(self, upload: Upload) -> dict[str, Any]:
        """The objects of parts that are there for every stem, and when each was written."""
        found = self.service.s3.list_objects(bucket_name="songs", prefix=upload.parts, recursive=True)
        written = {item.object_name or "": item.last_modified for item in found}
        numbers = [name.rpartition("/")[2] for name in written]
        return {name: time for name, time in written.items() if numbers.count(name.rpartition("/")[2]) == len(STEMS)}

    def succeeded(self, song: str) -> dict[str, Any]:
        """The song, which has ended well: all that was asked for is there and sounds as if nothing had happened."""
        ended = self.service.ended(song, LONGEST)
        assert ended["status"] == "succeeded", ended
        files = [file for stem in ended["stems"] for file in stem["files"]]
        assert len(files) >= len(STEMS), files
        assert not [file for file in files if "error" in file]
        expected = self.undisturbed(self.songs[song])
        for stem in STEMS:
            assert agreement(stem_of(self.service, song, stem), expected[stem]) >= 90, stem
        return ended

    def callback(self, song: str) -> dict[str, Any]:
        (found,) = self.service.client.callbacks(song)
        return found

    # --- What was logged since the fault began ---

    def lines(self, message: str, song: str, function: str = "separate") -> list[dict[str, Any]]:
        """What a function itself logged about a song."""
        lines = (self.service.local.data / "medley.log").read_text(errors="replace").splitlines()
        found = [json.loads(line) for line in lines if message in line and song in line]
        own = [line for line in found if line["function"] == function and "relayed" not in line]
        return [line for line in own if line["message"] == message and line["time"] >= self.began]

    # --- The end ---

    def settle(self) -> None:
        """Every accepted song ends as one result or one visible failure; after one sweep nothing is left over."""
        for song in self.songs:
            ended = self.service.ended(song, LONGEST)
            assert ended["status"] != "failed" or ended["error"]["detail"]
        time.sleep(float(QUICK["GRACE_SECONDS"]) + 0.2)
        self.sweep()
        assert differences(self.service) == []

    def sweep(self) -> None:
        """One sweep, from its begin to its end."""
        event = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "dev.knative.sources.ping"}
        assert self.send("sweep", event) == 204

    def send(self, function: str, event: dict[str, Any], instance: int = 0) -> int:
        """Posts an event straight to a function's process; the status of its answer."""
        url = self.service.local.about()["functions"][function][instance]["url"]
        request = urllib.request.Request(url, json.dumps(event).encode())
        request.add_header("Content-Type", "application/cloudevents+json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    # --- Breaking ---

    def signal(self, name: str, number: signal.Signals) -> None:
        self.service.local.signal(name, number)

    def worker(self, song: str) -> int:
        """The process group of the worker that shows itself at a song."""

        def look() -> int | None:
            groups = {one["pid"] for one in self.service.local.about()["functions"]["separate"]}
            for key in self.service.redis.scan_iter("worker:*"):
                about = json.loads(self.service.redis.get(key))
                with contextlib.suppress(ProcessLookupError):
                    if about["song"] == song and (group := os.getpgid(int(about["id"].rpartition("-")[2]))) in groups:
                        return group
            return None

        return int(eventually(look, pause=0.02))

    @contextlib.contextmanager
    def away(self, server: str) -> Iterator[None]:
        """A server that cannot be reached: who connects is cut off. It is back when the block is left."""
        port = self.service.local.about()["servers"][server]["port"]
        self.signal(server, signal.SIGKILL)
        with socket.socket() as place:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            eventually(lambda: place.bind(("127.0.0.1", port)) is None, pause=0.001)
            place.listen()
            thread = threading.Thread(target=_refuse, args=(place,), daemon=True)
            thread.start()
            try:
                yield
            finally:
                place.shutdown(socket.SHUT_RDWR)
                thread.join()
        eventually(self._stores_answer, LONGEST)

    def _stores_answer(self) -> bool:
        self.service.s3.put_object("songs", "probe", io.BytesIO(b"x"), 1)
        self.service.s3.remove_object("songs", "probe")
        return bool(self.service.redis.ping())


def _refuse(place: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            place.accept()[0].close()


def stem_of(service: Service, song: str, stem: str) -> NDArray[np.float64]:
    """A stem's samples."""
    file = io.BytesIO()
    service.client.track(song, f"{stem}.wav", file)
    file.seek(0)
    with wave.open(file) as reader:
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(np.float64)


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How much weaker than the sound the difference is, in dB."""
    assert one.shape == other.shape
    assert np.any(other)
    difference = np.sum((one - other) ** 2)
    return float(10 * np.log10(np.sum(other**2) / difference)) if difference else np.inf
