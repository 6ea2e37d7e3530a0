"""Functions of their own for rows about stores: started as in a pod, with what they said."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.backends import free_port
from tests.e2e.harness import eventually
from tests.manifests.rendering import ROOT


@dataclass(frozen=True)
class Function:
    """A running function."""

    url: str
    log: Path

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of an answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


@contextlib.contextmanager
def started(name: str, folder: Path, **environment: str) -> Iterator[Function]:
    """A function that listens, whether it is ready or not."""
    port, log = free_port(), folder / f"{name}.log"
    values = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port), **environment}
    with log.open("wb") as out:
        command = [sys.executable, "-m", "medley.serve", name]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=values, cwd=ROOT)
    function = Function(f"http://127.0.0.1:{port}", log)
    try:
        eventually(lambda: function.get("/")[0] == 200)
        yield function
    finally:
        process.kill()
        process.wait()
