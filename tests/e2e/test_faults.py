"""Faults against the real processes. After each: one result or one visible failure, and nothing left over."""

import contextlib
from collections.abc import Iterator

import pytest

from medley.client import ClientError
from tests.e2e.faults import FAULTS, Setting
from tests.e2e.faults.stage import Stage
from tests.e2e.harness import Service

Pool = dict[Setting, Service]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """The service that runs; only one does, since the faults in the table are in the order of their settings."""
    running: Pool = {}
    yield running
    for service in running.values():
        service.local.stop()


def _service(pool: Pool, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Service:
    if setting not in pool:
        while pool:
            pool.popitem()[1].local.stop()
        folder = tmp_path_factory.mktemp("faults") / "data"
        service = Service(folder, workers=setting.workers, **dict(setting.environment))
        service.local.start()
        pool[setting] = service
    return pool[setting]


@pytest.mark.parametrize(("setting", "act"), FAULTS.values(), ids=[name.replace(" ", "-") for name in FAULTS])
def test_fault(setting, act, pool, undisturbed, called, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    service = _service(pool, setting, tmp_path_factory)
    stage = Stage(service, called, undisturbed)
    try:
        act(stage)
        stage.settle()
    except BaseException:
        pool.pop(setting).local.kill()  # whatever state it is in, the next fault gets a new one
        raise
    for song in stage.songs:
        with contextlib.suppress(ClientError):  # removed by the fault
            service.client.remove(song)
    assert service.objects() == []
    assert list(service.tmp.iterdir()) == []
