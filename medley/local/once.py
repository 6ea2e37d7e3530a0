"""`medley once`: the whole service for one song, from nothing to stems on disk."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from medley.client.api import Medley
from medley.client.batch import Batch, Wanted
from medley.client.errors import ClientError
from medley.client.screen import Screen
from medley.local import folder, process
from medley.local import up as service
from medley.local.folder import Trouble
from medley.local.running import Local
from medley.models import UNTRAINED
from medley.settings import BadSettings, read

CALLED = 30.0  # s to wait for the callback of a song that has ended


def run(song: Path, out: Path, data: Path) -> int:
    """Separates a song with the service that runs on `data`, or one that is started for it; the exit code.

    Raises Trouble when the service cannot be started.
    """
    screen = Screen(as_json=False)
    with _service(data, screen) as url:
        client = Medley(url, say=screen.note)
        batch = Batch(client, screen, Wanted(out, "mp3", callback=url))
        try:
            code = batch.run([song])
            for result in batch.results:
                screen.note(f"the callback to {url}: {_called(client, result.hash)}")
                screen.note(f"the stems are in {result.folder}" if result.folder else "there are no stems")
        except ClientError as error:
            return screen.failed(error)
    if code == 0:
        for line in NEXT.splitlines():
            screen.note(line)
    return code


NEXT = """\
To go on:
  make up                                 run the service at http://localhost:5000
  .venv/bin/medley separate FILE...       separate songs with it; medley --help lists the rest
  curl -F file=@song.mp3 http://localhost:5000/apiv1/separate
README.md tells the rest."""


@contextlib.contextmanager
def _service(data: Path, screen: Screen) -> Iterator[str]:
    """The address of the service on `data`."""
    url = _running(data)
    if url:
        yield url
        return
    _get_weights()
    screen.note("starting the service")
    with Local(data) as local:
        yield local.url


def _running(data: Path) -> str:
    """The address of the service that runs on `data` already, if one does."""
    try:
        return str(folder.read_run(data).get("gateway", ""))
    except Trouble:
        return ""


def _get_weights() -> None:
    """In front, where its progress is seen. Raises Trouble."""
    try:
        models = [model for model in read(process.inherited()).models if model != UNTRAINED]
    except BadSettings as error:
        raise Trouble(f"{error}.") from error
    if models and asyncio.run(service.weights(models, process.inherited())) != 0:
        raise Trouble("the weights are missing; the lines above say why.")


def _called(client: Medley, song: str) -> str:
    """How the callbacks of a song ended. They went to the service's own address, which takes them as a client does."""
    states: list[str] = []
    until = time.monotonic() + CALLED
    while song and time.monotonic() < until:
        states = [call["state"] for call in client.callbacks(song)]
        if states and not {"waiting", "due"} & set(states):
            break
        time.sleep(0.2)
    return ", ".join(states) or "none"
