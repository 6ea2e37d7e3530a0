"""How long the table of behaviours is."""

import pytest

from tests.knative.behaviours import BROKER, EVENTS, SONGS

WORLDS = ("rehearsal", "processes", "cluster")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The number of rows in each world, and what each leaves out."""
    rows = {**BROKER, **EVENTS, **SONGS}
    terminalreporter.section("behaviours")
    for world in WORLDS:
        left_out = {name: row.left_out[world] for name, row in rows.items() if world in row.left_out}
        terminalreporter.line(f"{world}: {len(rows) - len(left_out)} of {len(rows)} rows")
        for name, why in left_out.items():
            terminalreporter.line(f"  without {name!r}: {why}")
