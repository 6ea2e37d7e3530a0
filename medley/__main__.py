"""The command line `medley`: a service on this machine, and what one does with a service anywhere."""

import sys
from collections.abc import Sequence
from importlib import import_module

try:
    import click
except ModuleNotFoundError:
    sys.exit("The command line needs more packages: pip install 'medley[client]'")

from medley.client.commands import COMMANDS

# Of medley.local, whose packages are not needed to use a service elsewhere.
LOCAL = ("up", "once", "env", "logs", "weights")
HINT = "a clone of its repository has all that is needed after `make up`"


def _local_commands() -> Sequence[click.Command]:
    """The commands that run a service here; without their packages, ones that say what to install."""
    try:
        return list(import_module("medley.local.commands").COMMANDS)
    except ModuleNotFoundError as error:
        return [_missing(name, error.name or "a package") for name in LOCAL]


def _missing(name: str, package: str) -> click.Command:
    @click.command(name, hidden=True, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1)
    def command(arguments: tuple[str, ...]) -> None:
        raise click.UsageError(f"medley {name} needs {package}, which is not installed; {HINT}.")

    return command


@click.group(commands=[*COMMANDS, *(local := _local_commands())])
@click.version_option(package_name="medley")
def medley() -> None:
    """Separate songs into stems."""


if any(command.hidden for command in local):
    medley.epilog = f"To run a service on this machine ({', '.join(LOCAL)}) {HINT}."


def main() -> None:
    """The entry point of the command line."""
    medley(prog_name="medley")


if __name__ == "__main__":
    main()
