"""openapi.yaml is whole, and tells every route and every problem there is."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from medley import errors, names, output, separation
from tests.contract.documents import examples, faults, openapi

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
PATHS = [path for path in openapi()["paths"] if path != "/"]
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in openapi()["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}
CASES = {f"{folder}/{name}": case for folder in ("http", "clients") for name, case in examples(folder).items()}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _resolve(reference: str) -> Any:
    assert reference.startswith("#/"), reference
    node: Any = openapi()
    for step in reference.removeprefix("#/").split("/"):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def _resolved(node: Any) -> Any:
    return _resolve(node["$ref"]) if "$ref" in node else node


def _errors(error: type[errors.MedleyError] = errors.MedleyError) -> Iterator[type[errors.MedleyError]]:
    """Those of errors.py: what stands before the functions, like a gateway, may have its own."""
    for kind in error.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
        yield from _errors(kind)


ERRORS = list(_errors())


def test_it_is_openapi() -> None:
    document = openapi()
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= document["info"].keys()
    assert all(path.startswith("/") for path in document["paths"])


def test_every_reference_leads_somewhere_and_nothing_lies_unused() -> None:
    used = set(_references(openapi()))
    for reference in used:
        assert _resolve(reference)
    there = {f"#/components/{kind}/{name}" for kind, items in openapi()["components"].items() for name in items}
    assert there == used


@pytest.mark.parametrize("name", openapi()["components"]["schemas"])
def test_the_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(openapi()["components"]["schemas"][name])


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_whole(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    item = openapi()["paths"][path]
    parameters = [_resolved(parameter) for parameter in (*item.get("parameters", []), *operation.get("parameters", []))]
    in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
    assert operation["summary"]
    assert in_path == set(re.findall(r"{(\w+)}", path))
    assert all(parameter["required"] for parameter in parameters if parameter["in"] == "path")
    assert all({"name", "in", "schema"} <= parameter.keys() for parameter in parameters)
    assert all(_resolved(answer)["description"] for answer in operation["responses"].values())


def test_every_operation_has_its_own_id() -> None:
    count = sum(method in METHODS for item in openapi()["paths"].values() for method in item)
    assert len(OPERATIONS) == count


def test_the_routes_are_those_of_the_functions() -> None:
    assert all(path.startswith(f"{names.API}/") for path in PATHS)
    assert {path.split("/")[2] for path in PATHS} == set(names.ROUTES)


def test_every_kind_of_problem_is_told_and_no_other() -> None:
    kinds = openapi()["components"]["schemas"]["ProblemType"]["enum"]
    assert sorted(kinds) == sorted({f"urn:medley:problem:{error.slug}" for error in ERRORS})


def test_the_formats_and_bitrates_are_those_there_are() -> None:
    schemas = openapi()["components"]["schemas"]
    assert schemas["Format"]["enum"] == list(output.FORMATS)
    assert schemas["Bitrate"]["enum"] == list(output.BITRATES)


def test_the_ways_to_separate_are_those_there_are() -> None:
    schemas = openapi()["components"]["schemas"]
    bounds = {name: [schemas[name][key] for key in ("minimum", "maximum", "default")] for name in ("Shifts", "Overlap")}
    usual = separation.Separation("")
    assert schemas["Precision"]["enum"] == list(separation.PRECISIONS)
    assert schemas["Precision"]["default"] == usual.precision
    assert bounds["Shifts"] == [0, separation.MOST_SHIFTS, usual.shifts]
    assert bounds["Overlap"] == [0, separation.MOST_OVERLAP, usual.overlap]


def test_the_options_of_an_upload_are_the_same_in_all_its_forms() -> None:
    schemas = openapi()["components"]["schemas"]
    forms = [set(schemas["UploadJson"]["properties"]) - {"mp3"}, set(schemas["UploadForm"]["properties"]) - {"file"}]
    assert forms == [{_resolved(parameter)["name"] for parameter in OPERATIONS["separate"][2]["parameters"]}] * 2


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.slug)
def test_a_problem_is_as_told(error: type[errors.MedleyError]) -> None:
    assert faults(error("What is wrong.", more=1).problem(), "Problem") == []


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "called"])
def test_there_is_an_example_of_every_operation(name: str) -> None:
    assert any(case["operation"] == name for case in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_an_example_is_of_its_operation(name: str) -> None:
    case = CASES[name]
    method, path, operation = OPERATIONS[case["operation"]]
    asked, where = _request_line(case["request"])
    pattern = re.sub(r"{\w+}", "[^/]+", path)
    assert asked.lower() == method
    assert re.fullmatch(f"{pattern}/?", where)
    assert str(case["answer"]["status"]) in operation["responses"] or "default" in operation["responses"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "json" in case["answer"]])
def test_an_examples_answer_keeps_to_its_schema(name: str) -> None:
    answer = CASES[name]["answer"]
    assert faults(answer["json"], answer["schema"]) == []
    assert answer["json"].get("status") in (answer["status"], *_statuses(), None)


def test_the_requests_as_json_keep_to_their_schema() -> None:
    assert faults(CASES["http/separate-json"]["request"]["json"], "UploadJson") == []
    assert faults({"mp3": "", "precision": None, "shifts": "", "overlap": 0}, "UploadJson") == []
    for wrong in ({"nosuch": 1}, {"precision": "float16"}, {"shifts": 11}, {"shifts": 1.5}, {"overlap": 0.5}):
        assert faults({"mp3": "", **wrong}, "UploadJson")


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("clients/")])
def test_a_clients_request_leaves_out_what_its_sender_fills_in(name: str) -> None:
    sent = {header.lower() for header, _ in CASES[name]["request"]["headers"]}
    assert not sent & {"host", "content-length"}


def test_what_a_client_is_told_at_the_end() -> None:
    song = CASES["http/song-succeeded"]["answer"]["json"]["hash"]
    told = {"hash": song, "status": "succeeded", "stems": {"vocals": f"/apiv1/track/{song}/vocals"}}
    assert faults(told, "Called") == []
    assert faults({**told, "status": "failed", "stems": {}, "error": {"type": "crash", "detail": "x"}}, "Called") == []
    assert faults({**told, "stems": ["vocals"]}, "Called")


def test_a_wrong_song_is_found() -> None:
    song = CASES["http/song-succeeded"]["answer"]["json"]
    for wrong in (
        {"status": "done"},
        {"progress": 2},
        {"surprise": 1},
        {"created": "yesterday"},
        {"hash": "x"},
        {"computed": [{}]},
    ):
        assert faults({**song, **wrong}, "Song"), wrong
    for name in song:
        assert faults({key: value for key, value in song.items() if key != name}, "Song"), name


def _statuses() -> list[str]:
    return list(openapi()["components"]["schemas"]["Song"]["properties"]["status"]["enum"])


def _request_line(request: dict[str, Any]) -> tuple[str, str]:
    """Method and path, of either form of example."""
    method, path = request["line"].split()[:2] if "line" in request else (request["method"], request["path"])
    return method, path.partition("?")[0]
