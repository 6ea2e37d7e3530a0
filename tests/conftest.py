"""One service for all tests that leave it whole; those that break it start their own."""

import io
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from medley.local.process import forget_settings
from tests.e2e.faults.stage import LONGEST, STEMS, Reference, stem_of
from tests.e2e.harness import Called, Service, listening

forget_settings()  # tests empty the stores that they are given


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests of each folder took, all of their setting up included."""
    took: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[report.nodeid.split("/")[1]] += report.duration
    terminalreporter.section("minutes")
    terminalreporter.line(", ".join(f"{folder} {seconds / 60:.1f}" for folder, seconds in sorted(took.items())))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service") / "data") as running:
        yield running


@pytest.fixture
def called() -> Iterator[Called]:
    with listening() as listener:
        yield listener


@pytest.fixture(scope="session")
def undisturbed(service: Service) -> Reference:
    """The stems of a song from a service where nothing fails."""
    known: dict[bytes, dict[str, NDArray[np.float64]]] = {}

    def stems(audio: bytes) -> dict[str, NDArray[np.float64]]:
        if audio not in known:
            song = service.client.separate(io.BytesIO(audio), format="wav").hash
            assert service.ended(song, LONGEST)["status"] == "succeeded"
            known[audio] = {stem: stem_of(service, song, stem) for stem in STEMS}
        return known[audio]

    return stems
