"""Objects: what medley needs of any S3."""

import io

import pytest

from medley.errors import Unavailable
from medley.settings import Settings
from medley.stores.objects import Objects
from tests.backends import free_port


def test_what_is_put_can_be_read_back(objects: Objects) -> None:
    objects.put("a/b.bin", b"hello")
    assert objects.read("a/b.bin") == b"hello"
    objects.put_json("a/c.json", {"n": [1]})
    assert objects.read_json("a/c.json") == {"n": [1]}


def test_a_large_file_goes_over_in_pieces(objects: Objects) -> None:
    data = bytes(range(256)) * (40 << 12)  # 40 MiB: more than one part of a multipart upload
    objects.put("large", io.BytesIO(data), len(data))
    assert objects.read("large") == data


def test_what_is_absent_is_none(objects: Objects) -> None:
    assert objects.stat("nothing") is None
    assert objects.open("nothing") is None
    assert objects.read_json("nothing") is None


def test_a_range_is_read(objects: Objects) -> None:
    objects.put("a", b"0123456789")
    opened = objects.open("a", 2, 3)
    assert opened is not None
    assert b"".join(opened) == b"234"
    opened.close()


def test_a_stat_tells_size_and_age(objects: Objects) -> None:
    objects.put("a", b"0123456789")
    stat = objects.stat("a")
    assert stat is not None
    assert stat.size == 10
    assert stat.etag
    assert stat.modified > 1_700_000_000


def test_objects_are_listed_in_order_and_from_any_on(objects: Objects) -> None:
    for name in ("b/2", "a/1", "b/1", "c"):
        objects.put(name, b"x")
    assert [stat.name for stat in objects.list()] == ["a/1", "b/1", "b/2", "c"]
    assert [stat.name for stat in objects.list("b/")] == ["b/1", "b/2"]
    assert [stat.name for stat in objects.list(after="b/1")] == ["b/2", "c"]


def test_a_listing_is_longer_than_a_page(objects: Objects) -> None:
    for number in range(1005):
        objects.put(f"many/{number:04d}", b"")
    assert len(list(objects.list("many/"))) == 1005
    objects.remove_below("many/")
    assert list(objects.list()) == []


def test_removing_what_is_absent_does_no_harm(objects: Objects) -> None:
    objects.put("a", b"x")
    objects.remove(["a", "nothing"])
    assert list(objects.list()) == []


def test_a_server_that_is_away_is_unavailable() -> None:
    away = Objects(Settings(s3_endpoint=f"http://127.0.0.1:{free_port()}", s3_access_key="k", s3_secret_key="s"))
    for act in (away.ready, lambda: away.put("a", b""), lambda: away.stat("a"), lambda: list(away.list())):
        with pytest.raises(Unavailable):
            act()
