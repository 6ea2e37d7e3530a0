"""One service for all tests that leave it whole; those that break it start their own."""

from collections.abc import Iterator

import pytest

from tests.e2e.harness import Called, Service, listening


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service") / "data") as running:
        yield running


@pytest.fixture
def called() -> Iterator[Called]:
    with listening() as listener:
        yield listener
