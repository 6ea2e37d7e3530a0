"""Functions whose Redis or S3 is not there, or does not know them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from medley import names
from tests.backends import KEY, SECRET, free_port, redis_like, s3_like
from tests.e2e.harness import eventually
from tests.knative import manifests
from tests.knative.functions import Function, started
from tests.knative.subscriber import Tap
from tests.knative.world import Lab, event

PATIENT = {"retry": 12, "backoffPolicy": "linear", "backoffDelay": "PT0.1S"}  # nearly 8 s in all
LINE = {"host": "h", "function": "f", "level": "info", "message": "m"}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def redis_away(lab: Lab) -> None:
    """Not ready until Redis answers, then by itself; from then on an outage is a 503 that says so, and is got over."""
    port = free_port()
    with _folder() as folder, started("logsink", folder, REDIS_URL=f"redis://127.0.0.1:{port}") as logsink:
        tap = Tap(logsink.url)
        with lab.broker(manifests.lab(manifests.trigger("logsink", **PATIENT)), logsink=tap):
            _is_not_ready(logsink, "Redis")
            _comes_through(lab, tap, logsink, port)
            assert logsink.get("/ready")[0] == 200
            _comes_through(lab, tap, logsink, port)


def _comes_through(lab: Lab, tap: Tap, logsink: Function, port: int) -> None:
    """An event that came while Redis was away is done when it is there."""
    before = len(tap.given)
    lab.send(event(names.LOG_WRITTEN, data=LINE))
    eventually(lambda: len(tap.given) > before)
    assert tap.given[-1][1].status == 503
    assert b"Redis does not answer" in tap.given[-1][1].body
    with redis_like("valkey", logsink.log.parent, port):
        eventually(lambda: logsink.get("/ready")[0] == 200)
        eventually(lambda: tap.given[-1][1].status == 204)
        lab.calm()
    assert [answer.status for _, answer in tap.given[before:]] == [503] * (len(tap.given) - before - 1) + [204]


def s3_away(lab: Lab) -> None:
    """The same of S3."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    with _folder() as folder, redis_like("valkey", folder) as url:
        keys = {"S3_ACCESS_KEY": KEY, "S3_SECRET_KEY": SECRET}
        with started("callback", folder, REDIS_URL=url, S3_ENDPOINT=nowhere, **keys) as callback:
            _is_not_ready(callback, "object store")


def wrong_keys(lab: Lab) -> None:
    """Not ready either, and it says that it was refused."""
    with _folder() as folder, redis_like("valkey", folder) as url, s3_like("seaweedfs", folder) as endpoint:
        keys = {"S3_ACCESS_KEY": KEY, "S3_SECRET_KEY": "wrong"}
        with started("callback", folder, REDIS_URL=url, S3_ENDPOINT=endpoint, **keys) as callback:
            _is_not_ready(callback, "refuses S3_ACCESS_KEY and S3_SECRET_KEY")


def wrong_password(lab: Lab) -> None:
    with _folder() as folder, redis_like("valkey", folder) as url:
        with Redis.from_url(url) as server:
            server.config_set("requirepass", SECRET)
        with started("logsink", folder, REDIS_URL=url.replace("//", "//:wrong@")) as logsink:
            _is_not_ready(logsink, "refuses the password in REDIS_URL")


def _is_not_ready(function: Function, lacking: str) -> None:
    status, problem = function.get("/ready")
    assert status == 503
    assert lacking in problem["detail"]
    assert function.says(f"not ready: {problem['detail']}")
