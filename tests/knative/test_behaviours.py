"""The table of behaviours, in the worlds of this machine."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import pytest

from medley.client import ClientError
from tests.e2e.faults.stage import Reference
from tests.e2e.harness import Called, Service
from tests.knative.behaviours import BROKER, EVENTS, SONGS, Row, SongRow
from tests.knative.local import address
from tests.knative.place import Place, Running, Setting
from tests.knative.processes import Processes
from tests.knative.rehearsal import Rehearsal
from tests.knative.world import Lab, World

pytestmark = pytest.mark.timeout(1200)  # s: the first of them builds Knative's parts

WORLDS = {world.name: world for world in (Rehearsal(), Processes())}


class Pool:
    """The medley that runs; only one does, since rows of one setting follow each other."""

    def __init__(self, worlds: Mapping[str, World]) -> None:
        self._worlds = worlds
        self._key: tuple[str, Setting] | None = None
        self._stack = contextlib.ExitStack()
        self._running: Running

    def get(self, world: str, setting: Setting) -> Running:
        if self._key != (world, setting):
            self.drop()
            self._running = self._stack.enter_context(self._worlds[world].medley(setting))
            self._key = (world, setting)
        return self._running

    def play(self, row: SongRow, place: Place) -> None:
        try:
            row.play(place)
            place.settle()
        except BaseException:
            self.drop()  # whatever state it is in, the next row gets a new one
            raise
        for song in place.songs:
            with contextlib.suppress(ClientError):  # removed by the row
                place.service.client.remove(song)

    def drop(self) -> None:
        self._key = None
        self._stack.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    running = Pool(WORLDS)
    yield running
    running.drop()


def table(rows: dict[str, Row] | dict[str, SongRow], worlds: Iterable[str] = WORLDS) -> list[object]:
    """Each row in each world that does not leave it out."""
    return [
        pytest.param(world, row, id=f"{world}-{name}".replace(" ", "-"))
        for world in worlds
        for name, row in rows.items()
        if world not in row.left_out
    ]


@pytest.mark.parametrize(("world", "row"), table(BROKER))
def test_broker(world: str, row: Row) -> None:
    row.play(Lab(WORLDS[world]))


@pytest.mark.parametrize(("world", "row"), table(EVENTS))
def test_events(world: str, row: Row, service: Service) -> None:
    """Bad input to medley's own functions, and stores that are not there."""
    row.play(Lab(WORLDS[world], {name: address(service, name) for name in ("separate", "callback", "logsink")}))


@pytest.mark.parametrize(("world", "row"), table(SONGS))
def test_songs(world: str, row: SongRow, pool: Pool, called: Called, undisturbed: Reference) -> None:
    running = pool.get(world, row.setting)
    place = Place(service=running.service, called=called, undisturbed=undisturbed, running=running)
    pool.play(row, place)
