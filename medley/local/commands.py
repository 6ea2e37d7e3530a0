"""The commands of `medley` that are about the service on this machine."""

import asyncio
import contextlib
import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from medley.local import folder, once, process
from medley.local import up as service
from medley.local.folder import Trouble
from medley.models import MODELS

DATA = Path("medley-data")
AGAIN = 0.2  # s between two looks at a log that is followed
PORT = click.IntRange(0, 65535)

data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=DATA, show_default=True, help="The data folder."
)


@click.command()
@click.option(
    "--port", type=PORT, default=5000, show_default=True, help="The one port that clients use; 0: any that is free."
)
@data_option
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Songs separated at a time.")
@click.option(
    "--model", "models", multiple=True, type=click.Choice(list(MODELS)), help="A model to serve, the default first."
)
@click.option(
    "--ping-seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Time between two sweeps, instead of the manifest's.",
)
@click.option("--broker-port", type=PORT, default=0, help="The Broker's port; 0: any that is free.")
@click.option("--parent", default=0, hidden=True)
def up(**asked: Any) -> None:
    """Run the whole service on this machine, until Ctrl-C."""
    try:
        service.run(service.Options(**asked), process.inherited())
    except Trouble as error:
        raise click.ClickException(str(error)) from error


@click.command(name="once")
@click.argument("song", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("stems"), show_default=True)
@data_option
def separate_once(song: Path, out: Path, data: Path) -> None:
    """Separate one SONG: starts the service for it, saves the stems, and ends the service."""
    try:
        sys.exit(once.run(song, out, data))
    except Trouble as error:
        raise click.ClickException(str(error)) from error


@click.command()
@data_option
def env(data: Path) -> None:
    """Print the inner servers' addresses and keys: eval "$(medley env)"."""
    about = _running(data)
    exports = {name.upper(): about[name] for name in ("redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key")}
    exports |= {"BROKER_URL": about["broker_url"], "MEDLEY_URL": about["gateway"]}
    exports |= {"AWS_ENDPOINT_URL": about["s3_endpoint"], "AWS_ACCESS_KEY_ID": about["s3_access_key"]}
    exports |= {"AWS_SECRET_ACCESS_KEY": about["s3_secret_key"]}
    for name, value in exports.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command()
@data_option
@click.option("-f", "--follow", is_flag=True, help="Go on with the lines to come.")
@click.option("--json", "raw", is_flag=True, help="The lines as they are, one JSON object each.")
def logs(data: Path, follow: bool, raw: bool) -> None:
    """Print what all functions logged."""
    try:
        stream = (data / folder.LOG).open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise click.ClickException(f"no log in {data}: {error.strerror}.") from error
    with stream, contextlib.suppress(KeyboardInterrupt):
        for line in _lines(stream, follow):
            click.echo(line if raw else _readable(line))


@click.command()
@click.argument("models", nargs=-1, type=click.Choice(list(MODELS)), metavar="[MODEL]...")
def weights(models: tuple[str, ...]) -> None:
    """Get the weights of models, by default of those served."""
    sys.exit(asyncio.run(service.weights(list(models), process.inherited())))


def _running(data: Path) -> dict[str, str]:
    try:
        about = folder.read_run(data)
    except Trouble as error:
        raise click.ClickException(str(error)) from error
    if "gateway" not in about:
        raise click.ClickException(f"the `medley up` on {data} is still starting.")
    return about


def _lines(stream: TextIO, follow: bool) -> Iterator[str]:
    """Whole lines of a file and, if it is followed, those that are still to come."""
    begun = ""
    while True:
        piece = stream.readline()
        begun += piece
        if begun.endswith("\n"):
            yield begun.rstrip("\n")
            begun = ""
        elif not piece:
            if not follow:
                return
            time.sleep(AGAIN)


def _readable(line: str) -> str:
    """Time, level, function, message and what else is told."""
    try:
        about = json.loads(line)
        at = time.strftime("%H:%M:%S", time.localtime(about.pop("time")))
        begin = f"{at} {about.pop('level'):5} {about.pop('function'):8} {about.pop('message')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return line
    return " ".join([begin, *(f"{name}={value}" for name, value in about.items())])


COMMANDS: list[click.Command] = [up, separate_once, env, logs, weights]
