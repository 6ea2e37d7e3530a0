"""How a function's process starts and ends."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.backends import free_port
from tests.e2e.harness import eventually, listening

STARTING = """
import sys, time, functions_framework
functions_framework.create_app = lambda *_: (print("starting", flush=True), time.sleep(60))
sys.argv = ["serve", "queue"]
from medley.serve import main
main()
"""
FORKED = """
import sys, time, flask, functions_framework
from gunicorn.workers import base

def slow(worker, init=base.Worker.init_process):
    print("forked", flush=True)
    time.sleep(1)
    init(worker)

base.Worker.init_process = slow
functions_framework.create_app = lambda *_: flask.Flask("forked")
sys.argv = ["serve", "queue"]
from medley.serve import main
main()
"""
TALKING = """
import sys, flask, functions_framework
from medley import logs

def create_app(*_):
    logs.begin("queue")
    app = flask.Flask("talking")
    app.add_url_rule("/", view_func=lambda: str([logs.info("said", number=number) for number in range(3)]))
    return app

functions_framework.create_app = create_app
sys.argv = ["serve", "queue"]
from medley.serve import main
main()
"""


def test_it_obeys_sigterm_before_gunicorn_does() -> None:
    """By a handler of its own: it is no failure."""
    with subprocess.Popen([sys.executable, "-c", STARTING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "starting\n"
        process.terminate()
        assert process.wait(30) == 0


def test_a_worker_that_was_only_forked_obeys_sigterm_too() -> None:
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(free_port())}
    with subprocess.Popen(
        [sys.executable, "-c", FORKED], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        process.terminate()
        try:
            assert process.wait(30) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def test_what_it_said_last_is_sent_before_it_ends() -> None:
    """Also to a Broker that takes its time."""
    with listening() as broker:
        broker.delay = 0.3
        port = free_port()
        own = {"HOST": "127.0.0.1", "PORT": str(port), "BROKER_URL": broker.url}
        with subprocess.Popen([sys.executable, "-c", TALKING], env={**os.environ, **own}) as process:
            eventually(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).close() is None)
            process.terminate()
            assert process.wait(30) == 0
        assert [body["data"]["fields"]["number"] for body in broker.bodies] == [0, 1, 2]


def test_it_leaves_the_home_of_its_user_alone(tmp_path: Path) -> None:
    """gunicorn's control socket would be one for all functions, and for whatever else of the user's it serves."""
    port = free_port()
    own = {"HOST": "127.0.0.1", "PORT": str(port), "HOME": str(tmp_path), "XDG_RUNTIME_DIR": ""}
    with subprocess.Popen([sys.executable, "-c", TALKING], env={**os.environ, **own}) as process:
        eventually(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).close() is None)
        process.terminate()
        assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []
