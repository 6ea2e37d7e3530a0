"""The contract's documents, and what does not keep to them."""

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

CONTRACT = Path(__file__).parents[2] / "contract"
OPENAPI = "urn:medley:openapi"
formats = FormatChecker(formats=[])


@formats.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    """RFC 3339: a date and a time with an offset."""
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@cache
def openapi() -> dict[str, Any]:
    with (CONTRACT / "openapi.yaml").open() as file:
        return dict(yaml.safe_load(file))


@cache
def event_schema(event_type: str) -> dict[str, Any]:
    return dict(json.loads((CONTRACT / "events" / f"{event_type}.schema.json").read_text()))


def event_example(event_type: str) -> dict[str, Any]:
    return dict(json.loads((CONTRACT / "examples" / f"{event_type}.json").read_text()))


def examples(folder: str) -> dict[str, dict[str, Any]]:
    """The examples of a folder by their names: `http` or `clients`."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((CONTRACT / "examples" / folder).glob("*.json"))}


def event_faults(event: object, event_type: str) -> list[str]:
    """What an event has that its schema does not allow."""
    return _told(Draft202012Validator(event_schema(event_type), format_checker=formats), event)


def faults(value: object, schema: str) -> list[str]:
    """What `value` has that the schema of this name in openapi.yaml does not allow.

    Members that the contract does not name are faults here, so that it does not grow stale; clients let them pass.
    """
    return _told(_validator(schema), value)


@cache
def _validator(schema: str) -> Draft202012Validator:
    resource = Resource.from_contents(_strict(openapi()), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(OPENAPI, resource)
    reference = {"$ref": f"{OPENAPI}#/components/schemas/{schema}"}
    return Draft202012Validator(reference, registry=registry, format_checker=formats)


def _strict(node: Any) -> Any:
    """A copy in which every object with named members has no others, but where it says that it may."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _strict(value) for key, value in node.items()}
    return {"additionalProperties": False, **copy} if node.get("type") == "object" and "properties" in node else copy


def _told(validator: Draft202012Validator, value: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
