"""The table of behaviours once more, with the real thing."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.faults.stage import Reference
from tests.e2e.harness import Called
from tests.knative.behaviours import BROKER, EVENTS, SONGS, Row, SongRow
from tests.knative.on_cluster.kubectl import NAMESPACE
from tests.knative.on_cluster.running import OnCluster
from tests.knative.on_cluster.world import Cluster
from tests.knative.test_behaviours import Pool, table
from tests.knative.world import Lab

WORLDS = {Cluster.name: Cluster()}
FUNCTIONS = {name: f"http://{name}.{NAMESPACE}.svc.cluster.local" for name in ("separate", "callback", "logsink")}

pytestmark = pytest.mark.timeout(900)


class Patient(Lab):
    """Functions start from zero here: it is not calm while one still has to answer."""

    def calm(self) -> None:
        super().calm()
        while any(len(one.given) < len(one.got) for one in self.subscribers.values()):
            time.sleep(0.1)
        super().calm()


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    running = Pool(WORLDS)
    yield running
    running.drop()


@pytest.mark.parametrize(("world", "row"), table(BROKER, WORLDS))
def test_broker(world: str, row: Row) -> None:
    row.play(Lab(WORLDS[world]))


@pytest.mark.parametrize(("world", "row"), table(EVENTS, WORLDS))
def test_events(world: str, row: Row) -> None:
    row.play(Patient(WORLDS[world], FUNCTIONS))


@pytest.mark.parametrize(("world", "row"), table(SONGS, WORLDS))
def test_songs(world: str, row: SongRow, pool: Pool, called: Called, undisturbed: Reference) -> None:
    running = pool.get(world, row.setting)
    pool.play(row, OnCluster(service=running.service, called=called, undisturbed=undisturbed, running=running))
