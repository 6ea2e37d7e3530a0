"""Real stores for functions that run in the tests' own process."""

from collections.abc import Iterator

import pytest

from medley import settings, stores
from tests.backends import KEY, SECRET, redis_like, s3_like

CACHED = (
    settings.settings, stores.redis, stores.jobs, stores.callbacks, stores.outbox, stores.sweeps, stores.objects,
)  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("stores")
    with redis_like("valkey", folder) as redis, s3_like("seaweedfs", folder) as s3:
        yield {"REDIS_URL": redis, "S3_ENDPOINT": s3, "S3_ACCESS_KEY": KEY, "S3_SECRET_KEY": SECRET}


@pytest.fixture
def empty_stores(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`medley.stores` are real ones with nothing in them."""
    for name, value in servers.items():
        monkeypatch.setenv(name, value)
    for cached in CACHED:
        cached.cache_clear()
    stores.redis().flushall()
    stores.objects().ready()
    stores.objects().remove_below("")
    yield
    for cached in CACHED:
        cached.cache_clear()
