"""Every store test runs on each server that medley is to run on."""

from collections.abc import Iterator

import pytest

from medley.settings import Settings
from medley.stores.callbacks import Callbacks
from medley.stores.jobs import Jobs
from medley.stores.objects import Objects
from medley.stores.redis import Client, connect
from tests.backends import KEY, SECRET, redis_like, s3_like


@pytest.fixture(scope="session", params=["valkey", "redis"])
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_like(request.param, tmp_path_factory.mktemp(request.param)) as url:
        yield url


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    client = connect(redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def jobs(client: Client) -> Jobs:
    return Jobs(client)


@pytest.fixture
def callbacks(client: Client) -> Callbacks:
    return Callbacks(client)


@pytest.fixture(scope="session", params=["seaweedfs", "minio"])
def s3_endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_like(request.param, tmp_path_factory.mktemp(request.param)) as endpoint:
        yield endpoint


@pytest.fixture
def objects(s3_endpoint: str, request: pytest.FixtureRequest) -> Iterator[Objects]:
    objects = Objects(Settings(s3_endpoint=s3_endpoint, s3_access_key=KEY, s3_secret_key=SECRET))
    objects.ready()
    objects.remove_below("")
    return objects
