"""How a function's process starts."""

import subprocess
import sys

STARTING = """
import sys, time, functions_framework
functions_framework.create_app = lambda *_: (print("starting", flush=True), time.sleep(60))
sys.argv = ["serve", "queue"]
from medley.serve import main
main()
"""


def test_it_obeys_sigterm_before_gunicorn_does() -> None:
    """By a handler of its own: without one the signal would end it here, but not as process 1 of a container."""
    with subprocess.Popen([sys.executable, "-c", STARTING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "starting\n"
        process.terminate()
        assert process.wait(30) == 0
