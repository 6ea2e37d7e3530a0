"""Processes that are kept running."""

import asyncio
import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from medley.local.process import Child
from tests.local.harness import Lines, run, until


def test_a_process_that_cannot_be_started_again_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no memory for it, after the kernel has killed it for its own."""
    start, log = asyncio.create_subprocess_exec, Lines()

    async def fails_at_first(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        if child.starts == 1:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return await start(*command, **options)

    async def test() -> None:
        child.start()
        await until(lambda: child.pid is not None)
        await child.stop(5)

    child = Child("sleeper", [sys.executable, "-c", "input()"], {}, tmp_path, log, print)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", fails_at_first)
    run(test)
    assert "could not be started" in log.lines[0][2]
