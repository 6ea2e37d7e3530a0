"""Which bytes of a file are sent."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from functions.fetch.send import _range
from medley.errors import BadRange
from medley.stores.objects import Stat


def found(size: int = 10, method: str = "GET", **headers: str) -> tuple[int, int]:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return _range(Request(EnvironBuilder(method=method, headers=told).get_environ()), Stat("name", size, "tag", 0.0))


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("bytes=3-99", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=0-1,3-4", (0, 10)),
        ("lines=0-1", (0, 10)),
        ("nonsense", (0, 10)),
    ],
)
def test_a_range_is_found(asked: str, sent: tuple[int, int]) -> None:
    assert found(Range=asked) == sent


@pytest.mark.parametrize(("asked", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-5", 0)])
def test_what_lies_beyond_the_file_is_refused(asked: str, size: int) -> None:
    with pytest.raises(BadRange):
        found(size, Range=asked)


def test_of_another_file_than_the_client_has_the_whole_is_sent() -> None:
    assert found(Range="bytes=3-", If_Range='"tag"') == (3, 10)
    assert found(Range="bytes=3-", If_Range='"other"') == (0, 10)


@pytest.mark.parametrize("validator", ['W/"tag"', "tag", "Thu, 26 Nov 2026 09:00:00 GMT", "nonsense"])
def test_what_does_not_say_that_every_byte_is_the_same_gets_the_whole(validator: str) -> None:
    assert found(Range="bytes=3-", If_Range=validator) == (0, 10)


@pytest.mark.parametrize("asked", ["bytes=3-5", "bytes=99-"])
def test_a_head_is_that_of_the_whole(asked: str) -> None:
    assert found(Range=asked, method="HEAD") == (0, 10)
