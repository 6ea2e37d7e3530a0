"""The real valkey and the real seaweedfs, as `medley up` runs them."""

import asyncio
import io
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import urllib3
from minio import Minio

from medley.local import folder, ports, servers
from medley.local.folder import Trouble
from medley.local.log import LogFile
from medley.local.process import Child
from medley.settings import Settings
from tests.local.harness import run, until


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    made = LogFile(tmp_path / "log", screen=io.StringIO())
    yield made
    made.close()


def child(data: Path, log: LogFile, name: str, command: list[str]) -> Child:
    return Child(name, command, dict(os.environ), data, log, log.of(name))


def redis_of(stores: servers.Stores) -> redis.Redis:
    return redis.Redis.from_url(stores.redis_url, decode_responses=True)


def s3_of(stores: servers.Stores, secret_key: str = "") -> Minio:
    return Minio(
        endpoint=urlsplit(stores.s3_endpoint).netloc,
        access_key=stores.s3_access_key,
        secret_key=secret_key or stores.s3_secret_key,
        secure=False,
        region=stores.s3_region,
    )


def listening_elsewhere(pid: int) -> list[str]:
    """Addresses other than 127.0.0.1 at which a process listens (proc(5): state 0A is LISTEN)."""
    inodes = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.exists()}
    found = []
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes and not fields[1].startswith("0100007F:"):
                found.append(fields[1])
    return found


def test_both_keep_what_they_took_through_a_kill(tmp_path: Path, log: LogFile) -> None:
    data_folder = tmp_path / "songs, mixed"  # to seaweedfs a comma ends a path

    async def test() -> None:
        for turn in range(2):
            stores = servers.choose(data_folder, Settings())
            running = [child(data_folder, log, name, list(server.command)) for name, server in stores.servers.items()]
            for one in running:
                one.start()
            try:
                await servers.ready(stores)
                await asyncio.to_thread(check, stores, turn)
                for one in running:
                    assert one.pid is not None
                    assert listening_elsewhere(one.pid) == []
            finally:
                await asyncio.gather(*(one.stop(0) for one in running))
                servers.remove_sockets(stores.servers["s3"])

    def check(stores: servers.Stores, turn: int) -> None:
        with redis_of(stores) as client:
            assert client.get("kept") == (None if turn == 0 else "1")
            client.set("kept", "1")
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            client.config_set("appendfsync", "always")
        bucket, data = stores.s3_bucket, os.urandom(100_000)
        assert s3_of(stores).bucket_exists(bucket_name=bucket)
        assert [found.object_name for found in s3_of(stores).list_objects(bucket_name=bucket)] == ["a"] * turn
        s3_of(stores).put_object(bucket_name=bucket, object_name="a", data=io.BytesIO(data), length=len(data))
        answer = s3_of(stores).get_object(bucket_name=bucket, object_name="a")
        assert answer.read() == data
        answer.close()
        unsigned = urllib3.request("GET", f"{stores.s3_endpoint}/{bucket}/a")
        assert unsigned.status == 403

    run(test)


def test_keys_are_made_once_and_are_nobody_elses(tmp_path: Path) -> None:
    first = servers.s3_keys(tmp_path / "s3")
    assert servers.s3_keys(tmp_path / "s3") == first
    assert servers.s3_keys(tmp_path / "other") != first
    assert stat.S_IMODE((tmp_path / "s3" / "identities.json").stat().st_mode) == 0o600


def test_servers_that_run_already_are_used(tmp_path: Path) -> None:
    settings = Settings(
        redis_url="redis://there:1/0", s3_endpoint="http://there:2", s3_access_key="a", s3_secret_key="s", s3_bucket="b"
    )
    stores = servers.choose(tmp_path, settings)
    assert stores.servers == {}
    assert stores.environment()["REDIS_URL"] == "redis://there:1/0"
    assert (stores.s3_endpoint, stores.s3_bucket) == ("http://there:2", "b")
    assert list(tmp_path.iterdir()) == []


def test_an_object_store_without_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="S3_ACCESS_KEY"):
        servers.choose(tmp_path, Settings(s3_endpoint="http://there:2"))


def test_no_port_is_given_twice_before_anybody_listens_there(tmp_path: Path) -> None:
    """A function was given the port of seaweedfs, which takes a second until it listens."""
    kept = servers.seaweedfs(tmp_path).ports
    servers.seaweedfs(tmp_path)
    given = [port for _ in range(40) for port in ports.free(10)]
    assert len({*given} - {*kept} - {port + ports.GRPC for port in kept}) == 400


def test_ports_stay_while_they_are_free(tmp_path: Path) -> None:
    first = servers.seaweedfs(tmp_path).ports
    assert servers.seaweedfs(tmp_path).ports == first
    assert max(first) + ports.GRPC < 32768


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A program that says its process id and sleeps, with a child in its group."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\n"
        "if os.fork() == 0:\n    open('grandchild', 'w').write(str(os.getpid())); time.sleep(600)\n"
        "print('begun', flush=True)\n"
        'print(\'{"level": "info", "message": "own"}\', file=sys.stderr, flush=True)\n'
        "time.sleep(600)\n"
    )
    return program


def alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_child_that_is_killed_comes_back_and_leaves_nobody_behind(tmp_path: Path, log: LogFile, python: Path) -> None:
    async def test() -> None:
        one = child(tmp_path, log, "one", [sys.executable, str(python)])
        one.start()
        grandchild = tmp_path / "grandchild"
        await until(lambda: grandchild.exists() and grandchild.read_text() != "")
        first, left = one.pid, int(grandchild.read_text())
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: one.starts == 2 and one.pid not in (None, first))
        await until(lambda: not alive(left))
        second = one.pid
        await one.stop(5)
        assert second is not None
        assert not alive(second)

    run(test)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"level": "info", "message": "own"} in lines, "a JSON line passes as it is"
    assert any(line.get("function") == "one" and line["message"] == "begun" for line in lines), "others are wrapped"
    assert any("SIGKILL" in line["message"] for line in lines)


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    with folder.take(tmp_path / "data"), pytest.raises(Trouble, match="another `medley up`"):
        folder.take(tmp_path / "data")
    folder.take(tmp_path / "data").close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Trouble, match="cannot be written"):
        folder.take(tmp_path / "file" / "data")


def test_what_the_stores_have_is_nobody_elses_whatever_folder_they_are_in(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "s3").mkdir(mode=0o755)
    servers.choose(tmp_path, Settings())
    assert {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("s3", "redis")} == {
        "s3": 0o700,
        "redis": 0o700,
    }
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "ROOM", 1 << 62)
    with pytest.raises(Trouble, match="is full"):
        folder.take(tmp_path)


def test_what_runs_is_known_while_it_runs(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="no `medley up` runs"):
        folder.read_run(tmp_path)
    with folder.take(tmp_path):
        folder.write_run(tmp_path, {"pid": os.getpid(), "ready": True})
        assert folder.read_run(tmp_path)["ready"] is True
        assert stat.S_IMODE((tmp_path / folder.RUN).stat().st_mode) == 0o600
        folder.forget_run(tmp_path)
        with pytest.raises(Trouble, match="no `medley up` runs"):
            folder.read_run(tmp_path)


def test_what_a_crash_left_is_nothing_that_runs(tmp_path: Path) -> None:
    """Whatever process has got its id since."""
    folder.take(tmp_path).close()
    folder.write_run(tmp_path, {"pid": os.getpid(), "ready": True})
    with pytest.raises(Trouble, match="no `medley up` runs"):
        folder.read_run(tmp_path)
    with folder.take(tmp_path), pytest.raises(Trouble, match="no `medley up` runs"):
        folder.read_run(tmp_path)


@pytest.mark.parametrize("text", ["[]", "null", "5", "{", ""])
def test_a_file_that_says_nothing_is_nothing_that_runs(tmp_path: Path, text: str) -> None:
    with folder.take(tmp_path):
        (tmp_path / folder.RUN).write_text(text)
        with pytest.raises(Trouble, match="no `medley up` runs"):
            folder.read_run(tmp_path)


def test_asking_does_not_keep_an_owner_out(tmp_path: Path) -> None:
    folder.take(tmp_path).close()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            with suppress(Trouble):
                folder.read_run(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(100):
            folder.take(tmp_path).close()
    finally:
        ended.set()
        asking.join()


def test_a_line_that_is_relayed_stands_in_the_stream_once(tmp_path: Path) -> None:
    screen = io.StringIO()
    log = LogFile(tmp_path / "log", screen)
    log.of("upload")(b'{"level": "info", "message": "stored"}\n')
    log.of("logsink")(b'{"level": "info", "message": "stored", "relayed": true}\n')
    log.of("s3", "debug")(b"started\n")
    log.close()
    assert screen.getvalue() == '{"level": "info", "message": "stored"}\n'
    assert [json.loads(line)["message"] for line in (tmp_path / "log").read_text().splitlines()] == [
        "stored",
        "started",
    ]


def test_a_log_that_grows_is_put_aside_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medley.local.log.KEPT", 1000)
    made = LogFile(tmp_path / "log", screen=io.StringIO())
    for number in range(100):
        made.line("info", "test", f"line {number}")
    made.close()
    kept = (tmp_path / "log.log.1").read_text() + (tmp_path / "log").read_text()
    assert len(kept) < 3000
    assert kept.splitlines()[-1].endswith('"line 99"}')
