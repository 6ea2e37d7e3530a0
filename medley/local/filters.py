"""The filters of a Trigger: whether an event is for it."""

from collections.abc import Callable, Mapping
from typing import Any

Filter = Callable[[Mapping[str, str]], bool]
Compare = Callable[[str, str], bool]


class BadManifest(Exception):
    """A manifest that cannot be followed; the message names what and where."""


def parse(specification: object, where: str) -> Filter:
    """A filter of an item of `spec.filters`; `where` names it in messages.

    Raises BadManifest that names a dialect which is not understood.
    """
    if not isinstance(specification, dict) or len(specification) != 1:
        raise BadManifest(f"{where}: a filter has exactly one dialect, not {specification!r}")
    ((dialect, value),) = specification.items()
    if dialect in _COMPARISONS:
        return _attributes(_COMPARISONS[dialect], value, f"{where}.{dialect}")
    if dialect in ("all", "any"):
        return _several(dialect, value, f"{where}.{dialect}")
    if dialect == "not":
        inner = parse(value, f"{where}.not")
        return lambda event: not inner(event)
    raise BadManifest(f"{where}: the filter dialect {dialect!r} is not understood here")


def every(filters: list[Filter]) -> Filter:
    """A filter that holds when all of them do; none let everything through."""
    return lambda event: all(one(event) for one in filters)


_COMPARISONS: dict[str, Compare] = {
    "exact": lambda value, wanted: value == wanted,
    "prefix": str.startswith,
    "suffix": str.endswith,
}


def _attributes(compare: Compare, wanted: Any, where: str) -> Filter:
    """Each attribute named is there and compares."""
    if not isinstance(wanted, dict) or not wanted:
        raise BadManifest(f"{where}: attributes with their values are wanted, not {wanted!r}")
    pairs = {str(name): str(value) for name, value in wanted.items()}
    return lambda event: all(name in event and compare(event[name], value) for name, value in pairs.items())


def _several(dialect: str, items: Any, where: str) -> Filter:
    if not isinstance(items, list) or not items:
        raise BadManifest(f"{where}: a list of filters is wanted, not {items!r}")
    filters = [parse(item, f"{where}[{index}]") for index, item in enumerate(items)]
    if dialect == "all":
        return every(filters)
    return lambda event: any(one(event) for one in filters)
