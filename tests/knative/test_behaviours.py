"""The table of behaviours, in the worlds of this machine."""

import pytest

from tests.knative.behaviours import BROKER
from tests.knative.processes import Processes
from tests.knative.rehearsal import Rehearsal
from tests.knative.world import Lab

pytestmark = pytest.mark.timeout(1200)  # s: the first of them builds Knative's parts

WORLDS = {world.name: world for world in (Rehearsal(), Processes())}


def _id(name: str) -> str:
    return name.replace(" ", "-")


@pytest.mark.parametrize("name", BROKER, ids=_id)
@pytest.mark.parametrize("world", WORLDS)
def test_broker(world: str, name: str) -> None:
    row = BROKER[name]
    if world in row.left_out:
        pytest.skip(row.left_out[world])
    row.play(Lab(WORLDS[world]))
