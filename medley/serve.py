"""Starts one function: `python -m medley.serve upload`, on PORT."""

import gc
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from medley import names
from medley.settings import BadSettings, settings

if TYPE_CHECKING:
    from flask import Flask

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Runs until SIGTERM, then lets running requests end within the time limit of a request."""
    # Told to end before gunicorn has its own handler, it ends well.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in names.FUNCTIONS:
        sys.exit(f"usage: python -m medley.serve {{{','.join(names.FUNCTIONS)}}}")
    gc.disable()  # what is loaded now stays: looking through it would take a tenth of the start
    from functions_framework._http import create_server

    sys.path.insert(0, str(ROOT))
    try:
        grace = int(settings().time_limit)
        app = create(name)
    except BadSettings as error:
        sys.exit(f"{name}: {error}")
    options = {
        "graceful_timeout": grace,
        "control_socket_disable": True,  # all functions would take turns at one file in the user's home
        "threads": settings().threads,
        "pre_fork": _obey_sigterm_when_forked,
        "post_worker_init": _drain_on_sigterm,
        "worker_exit": _flush_logs,
    }
    gc.freeze()
    gc.enable()
    server = create_server(app, False, **options)
    server.run(settings().host, settings().port)


def create(name: str) -> "Flask":
    """A function as an application of functions-framework. Raises BadSettings."""
    from functions_framework import create_app
    from werkzeug.exceptions import HTTPException

    from medley.http import refused

    app: Flask = create_app(name, str(ROOT / "functions" / name / "main.py"), "http")
    app.register_error_handler(HTTPException, refused)
    return app


def _obey_sigterm_when_forked(arbiter: Any, _worker: Any) -> None:
    """A worker that is told to end before it has handlers of its own ends.

    It inherits its parent's, which would put the signal into a queue that nobody reads in the worker: the worker would
    serve on, and the pod with its GPU be there until the grace period is over.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != arbiter.pid:
            os._exit(0)
        arbiter.signal(number, frame)

    signal.signal(signal.SIGTERM, handle)


def _drain_on_sigterm(worker: Any) -> None:
    """Sets `draining` before gunicorn's own handler; it installs that handler in the worker just before this hook."""
    from medley.http import draining

    own = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        draining.set()
        if callable(own):
            own(number, frame)

    signal.signal(signal.SIGTERM, handle)


def _flush_logs(_arbiter: Any, _worker: Any) -> None:
    """The last lines tell what became of the song that was in work. They get the time of one event."""
    from medley import logs

    logs.flush(settings().broker_timeout)


if __name__ == "__main__":
    main()
