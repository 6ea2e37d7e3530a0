"""Audio and what describes it in S3: one bucket, keys as in medley/names.py, medley's errors."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from urllib3.response import BaseHTTPResponse

from medley.errors import Unavailable
from medley.settings import Settings

PIECE = 1 << 20  # bytes read at a time
SENT = 1 << 18  # bytes of a file sent at a time
SIGNED = timedelta(hours=1)  # until a request must have reached the server
ABSENT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")
REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")
# AWS says the same of a right key where another account has a bucket of that name.
FORBIDDEN = "The object store refuses S3_ACCESS_KEY and S3_SECRET_KEY, or refuses them the bucket in S3_BUCKET."


@dataclass(frozen=True)
class Stat:
    """An object as S3 lists it. `modified` in seconds since 1970."""

    name: str
    size: int
    etag: str
    modified: float


class Opened:
    """An object that is being read; close it, or its connection is never used again."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with away():
            yield from self._response.stream(PIECE)

    def read(self) -> bytes:
        with away():
            return self._response.read()

    def close(self) -> None:
        """Back to the pool if it was read to its end, else cut: nobody wants to read the rest."""
        self._response.close()
        self._response.release_conn()


@contextmanager
def away() -> Iterator[None]:
    """Renames what a missing or ailing server raises."""
    try:
        yield
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, S3Error) and error.code in REFUSED:
            raise Unavailable(FORBIDDEN, retry_after=60) from error
        raise Unavailable("The object store does not answer; try again in a moment.", retry_after=5) from error


class Objects:
    """The bucket. Everything raises Unavailable when the server does not answer; what is absent reads as None."""

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self.region = settings.s3_region
        url = urlsplit(settings.s3_endpoint)
        self._pool = urllib3.PoolManager(
            maxsize=32,
            blocksize=SENT,
            timeout=urllib3.Timeout(connect=3, read=60),
            retries=urllib3.Retry(total=2, backoff_factor=0.1, status_forcelist=(500, 502, 503, 504)),
        )
        self.client = Minio(
            endpoint=url.netloc,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            secure=url.scheme == "https",
            region=settings.s3_region,
            http_client=self._pool,
        )

    def ready(self) -> None:
        """Sees that the bucket is there, and makes it if it is not."""
        with away():
            if not self.client.bucket_exists(bucket_name=self.bucket):
                self.client.make_bucket(bucket_name=self.bucket, location=self.region)

    def put(self, name: str, data: bytes | BinaryIO, length: int | None = None, content_type: str = "") -> None:
        """Stores bytes, or a file of `length` bytes, under a name that is not used again for anything else.

        By one request, in flat memory: of an upload in parts that is broken off, the parts stay where no listing shows
        them. The signature leaves the data out, which would have to be read twice.
        """
        size = len(data) if isinstance(data, bytes) else length
        if size is None:
            raise ValueError("the length of a file must be given")
        headers = {"Content-Length": str(size), "Content-Type": content_type or "application/octet-stream"}
        with away():
            url = self.client.presigned_put_object(bucket_name=self.bucket, object_name=name, expires=SIGNED)
            answer = self._pool.request("PUT", url, body=data, headers=headers)
        if answer.status >= 300:
            raise Unavailable(f"The object store did not take a file: it answered {answer.status}.", retry_after=5)

    def put_json(self, name: str, value: object) -> None:
        self.put(name, json.dumps(value).encode(), content_type="application/json")

    def open(self, name: str, offset: int = 0, length: int = 0) -> Opened | None:
        """An object, or `length` bytes of it (0: to its end) from `offset` on; None when it is absent."""
        with away():
            try:
                response = self.client.get_object(
                    bucket_name=self.bucket, object_name=name, offset=offset, length=length
                )
            except S3Error as error:
                if _is_absent(error):
                    return None
                raise
        return Opened(response)

    def read(self, name: str) -> bytes | None:
        """A whole object, None when it is absent."""
        opened = self.open(name)
        if opened is None:
            return None
        try:
            return opened.read()
        finally:
            opened.close()

    def read_json(self, name: str) -> Any:
        """A JSON object, None when it is absent."""
        data = self.read(name)
        return None if data is None else json.loads(data)

    def stat(self, name: str) -> Stat | None:
        """Size, ETag and age of an object, None when it is absent."""
        with away():
            try:
                found = self.client.stat_object(bucket_name=self.bucket, object_name=name)
            except S3Error as error:
                if _is_absent(error):
                    return None
                raise
        return Stat(name, found.size or 0, found.etag or "", _seconds(found.last_modified))

    def list(self, prefix: str = "", after: str | None = None) -> Iterator[Stat]:
        """The objects below a prefix in the order of their names, those after `after` if it is given."""
        with away():
            found = self.client.list_objects(bucket_name=self.bucket, prefix=prefix, recursive=True, start_after=after)
            for item in found:
                yield Stat(item.object_name or "", item.size or 0, item.etag or "", _seconds(item.last_modified))

    def remove(self, objects: Iterable[str]) -> None:
        """Removes objects; those that are absent already count as removed."""
        with away():
            errors = self.client.remove_objects(
                bucket_name=self.bucket, delete_object_list=(DeleteObject(name) for name in objects)
            )
            for error in errors:
                raise Unavailable(f"The object store did not remove {error.name}: {error.message}", retry_after=5)

    def remove_below(self, prefix: str) -> None:
        """Removes everything below a prefix."""
        self.remove(stat.name for stat in self.list(prefix))


def _is_absent(error: S3Error) -> bool:
    """Whether there is no such object; then its traceback is dropped.

    minio keeps an error in the frame that raised it: a circle that holds all our callers' frames, and files that they
    have open, until Python's collector comes by.
    """
    if error.code not in ABSENT:
        return False
    error.__traceback__ = None
    return True


def _seconds(modified: Any) -> float:
    return float(modified.timestamp()) if modified else 0.0
