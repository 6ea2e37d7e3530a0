"""A running service as tests use it: the real processes, the tiny model, times short enough for tests."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import minio
import redis
from minio import Minio

from medley.client import Medley
from medley.local.running import Local

QUICK = {
    "LEASE_SECONDS": "2",
    "LEASE_RENEW_SECONDS": "0.5",
    "GRACE_SECONDS": "1",
    "TIME_MARGIN": "1",
    "BROKER_TIMEOUT": "1",
    "CALLBACK_TIMEOUT": "2",
    "CALLBACK_SCHEDULE": "1,1,2,2,3",
    "KEEP_CANCELED_SECONDS": "600",
    "OMP_NUM_THREADS": "1",  # beside other work PyTorch's threads wait for each other and keep the cores busy
}
MODEL = "demucs_unittest"


class Service:
    """One `medley up`, its client, and a look into its stores."""

    def __init__(self, data: Path, workers: int = 1, ping: float = 1.0, **environment: str) -> None:
        self.tmp = data.parent / f"{data.name}-tmp"
        self.tmp.mkdir(parents=True, exist_ok=True)
        self.local = Local(
            data,
            workers=workers,
            models=[MODEL],
            environment={**QUICK, "TMPDIR": str(self.tmp), **environment},
            options=["--ping-seconds", str(ping)],
        )

    def __enter__(self) -> "Service":
        self.local.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.local.stop()

    @property
    def url(self) -> str:
        return self.local.url

    @property
    def client(self) -> Medley:
        return Medley(self.url, timeout=30)

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.local.about()["redis_url"], decode_responses=True)

    @property
    def s3(self) -> Minio:
        about = self.local.about()
        return Minio(
            endpoint=about["s3_endpoint"].removeprefix("http://"),
            access_key=about["s3_access_key"],
            secret_key=about["s3_secret_key"],
            secure=False,
            region="us-east-1",
        )

    def objects(self) -> list[str]:
        """The names of all objects."""
        with contextlib.suppress(minio.S3Error):
            found = self.s3.list_objects(bucket_name="songs", recursive=True)
            return sorted(item.object_name or "" for item in found)
        return []

    def record(self, song: str) -> dict[str, str]:
        return dict(self.redis.hgetall(f"song:{song}"))

    def ended(self, song: str, limit: float = 90) -> dict[str, Any]:
        """The song once its job has ended."""
        return eventually(lambda: _if_ended(self.client.song(song)), limit)


def _if_ended(song: dict[str, Any]) -> dict[str, Any] | None:
    return song if song["status"] in ("succeeded", "failed", "canceled") else None


def eventually(look: Callable[[], Any], limit: float = 30.0, pause: float = 0.1) -> Any:
    """What `look` returns as soon as that is true; errors on the way are looked past. Fails after `limit` seconds."""
    until = time.monotonic() + limit
    last: object = None
    while time.monotonic() < until:
        try:
            if found := look():
                return found
            last = found
        except Exception as error:  # a service on its way up or down answers anything
            last = error
        time.sleep(pause)
    raise AssertionError(f"not within {limit:g} s; the last look gave {last!r}")


class Called:
    """What came to a client's callback, and how it answers: by a list of statuses, of which the last is for good."""

    def __init__(self) -> None:
        self.statuses = [204]
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.bodies: list[Any] = []
        self.requests: list[dict[str, str]] = []
        self.url = ""

    def take(self, headers: dict[str, str], body: bytes) -> int:
        self.requests.append(headers)
        self.bodies.append(json.loads(body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextlib.contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[Called]:
    """A client's own server, which takes callbacks."""
    called = Called()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = called.take({name.lower(): value for name, value in self.headers.items()}, body)
            time.sleep(called.delay)
            self.send_response(status)
            for name, value in {"Content-Length": "0", **called.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((host, 0), Handler)
    called.url = f"http://{host}:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield called
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
