"""Each event type has a schema and an example, and the schema finds what is wrong."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from medley import events, names
from tests.contract.documents import CONTRACT, event_example, event_faults, event_schema

Event = dict[str, Any]
WITH_SONG = [event_type for event_type in names.EVENTS if event_type != names.LOG_WRITTEN]


def _without(name: str) -> Callable[[Event], object]:
    return lambda event: event.pop(name)


def _with(**values: object) -> Callable[[Event], object]:
    return lambda event: event.update(values)


BROKEN: dict[str, Callable[[Event], object]] = {
    **{f"without {name}": _without(name) for name in ("specversion", "id", "source", "type", "time", "data")},
    "version 2": _with(specversion="2.0"),
    "empty id": _with(id=""),
    "a source that is no function": _with(source="https://example.com"),
    "another type": _with(type="dev.medley.other.v1"),
    "time without an offset": _with(time="2026-11-24T02:30:00"),
    "a subject that is no hash": _with(subject="song"),
    "data as text": _with(data="{}"),
    "empty data": _with(data={}),
    "another content type": _with(datacontenttype="text/plain"),
    "a trace that is none": _with(traceparent="1"),
    "an attribute in capitals": _with(Subject="x"),
    "a member nobody knows": lambda event: event["data"].update(surprise=1),
}


def test_there_is_a_schema_and_an_example_for_each_type_and_no_other() -> None:
    schemas = {path.name.removesuffix(".schema.json") for path in (CONTRACT / "events").iterdir()}
    shown = {path.stem for path in (CONTRACT / "examples").glob("*.json")}
    assert schemas == shown == set(names.EVENTS)


@pytest.mark.parametrize("event_type", names.EVENTS)
def test_the_schema_is_one(event_type: str) -> None:
    Draft202012Validator.check_schema(event_schema(event_type))
    assert event_schema(event_type)["$id"] == f"urn:medley:event:{event_type}"


@pytest.mark.parametrize("event_type", names.EVENTS)
def test_the_example_keeps_to_it(event_type: str) -> None:
    assert event_faults(event_example(event_type), event_type) == []


@pytest.mark.parametrize("event_type", names.EVENTS)
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_one_does_not(event_type: str, broken: str) -> None:
    event = copy.deepcopy(event_example(event_type))
    BROKEN[broken](event)
    assert event_faults(event, event_type)


@pytest.mark.parametrize("event_type", WITH_SONG)
def test_the_subject_is_the_song(event_type: str) -> None:
    event = event_example(event_type)
    assert event["subject"] == event["data"]["hash"]
    del event["subject"]
    assert event_faults(event, event_type)


@pytest.mark.parametrize("event_type", names.EVENTS)
@pytest.mark.parametrize("member", ["hash", "callback", "stems", "seconds", "segments", "error", "track", "level"])
def test_a_member_of_a_wrong_type_is_found(event_type: str, member: str) -> None:
    event = event_example(event_type)
    if member not in event["data"]:
        return
    event["data"][member] = [None]
    assert event_faults(event, event_type)


@pytest.mark.parametrize("event_type", names.EVENTS)
def test_what_is_built_keeps_to_it(event_type: str) -> None:
    example = event_example(event_type)
    function = example["source"].rpartition("/")[2]
    assert function in names.FUNCTIONS
    built = json.loads(events.build(event_type, function, example.get("subject"), example["data"]))
    assert event_faults(built, event_type) == []
    assert built["data"] == example["data"]
