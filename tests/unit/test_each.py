"""One of many that cannot be dealt with."""

from collections.abc import Callable

import pytest

from functions.sweep.each import each
from medley.errors import Unavailable


def away() -> None:
    raise Unavailable("It does not answer.")


def dealt_with(error: Exception, ready: Callable[[], None] | None) -> list[int]:
    done: list[int] = []

    def act(item: int) -> None:
        if item == 1:
            raise error
        done.append(item)

    each(range(3), act, "dealing with a number", ready)
    return done


@pytest.mark.parametrize("ready", [None, away])
def test_one_that_is_odd_keeps_no_other_from_it(ready: Callable[[], None] | None) -> None:
    assert dealt_with(ValueError("odd"), ready) == [0, 2]


def test_one_that_cannot_be_read_keeps_no_other_from_it_where_the_stores_answer() -> None:
    assert dealt_with(Unavailable("An object cannot be read."), lambda: None) == [0, 2]


@pytest.mark.parametrize("ready", [None, away])
def test_where_all_would_fail_alike_none_is_tried(ready: Callable[[], None] | None) -> None:
    with pytest.raises(Unavailable):
        dealt_with(Unavailable("It does not answer."), ready)
