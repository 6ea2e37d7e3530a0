"""The table of behaviours once more, with the real thing."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.knative import world
from tests.knative.behaviours import BROKER
from tests.knative.on_cluster.world import Cluster


class Lab(world.Lab):
    def send(self, event: Mapping[str, Any], mode: world.Mode = "structured") -> int:
        status = super().send(event, mode)
        print("SENT", status, time.time())
        return status


@pytest.mark.parametrize("name", BROKER, ids=[name.replace(" ", "-") for name in BROKER])
def test_broker(name: str) -> None:
    row = BROKER[name]
    if Cluster.name in row.left_out:
        pytest.skip(row.left_out[Cluster.name])
    row.play(Lab(Cluster()))
