"""What every function does alike, by its own door and without any store: health, paths, methods, events."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from medley import events, names, settings
from tests.backends import free_port
from tests.functions.doors import opened

ROOT = Path(__file__).resolve().parents[2]
HTTP = sorted(set(names.ROUTES.values()))
WOKEN = [name for name in names.FUNCTIONS if name not in HTTP]
SONG = "0" * 64
Door = Callable[[str], FlaskClient]


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Opens a function whose stores and Broker do not answer."""
    nowhere = f"127.0.0.1:{free_port()}"
    for name, value in {"REDIS_URL": f"redis://{nowhere}", "S3_ENDPOINT": f"http://{nowhere}"}.items():
        monkeypatch.setenv(name, value)
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(name, "key")
    settings.settings.cache_clear()
    yield opened
    settings.settings.cache_clear()


def event(event_type: str, data: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/cloudevents+json"}
    return {"data": events.build(event_type, "test", SONG, data), "headers": headers}


@pytest.mark.parametrize("name", names.FUNCTIONS)
def test_the_root_answers(door: Door, name: str) -> None:
    answer = door(name).get("/")
    assert (answer.status_code, answer.json) == (200, {"function": name})


@pytest.mark.parametrize("name", names.FUNCTIONS)
def test_it_is_not_ready_before_its_stores_have_answered(door: Door, name: str) -> None:
    answer = door(name).get("/ready")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")


@pytest.mark.parametrize("path", ["/ready", "/apiv1/queue"])
def test_the_log_says_what_ails_a_store(door: Door, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert door("queue").get(path).status_code == 503
    (line,) = capsys.readouterr().err.splitlines()
    assert "Connection refused" in json.loads(line)["error"]


def test_it_does_not_start_without_its_settings_and_names_them_all() -> None:
    named = ("REDIS_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in named}
    command = [sys.executable, "-m", "medley.serve", "callback"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"callback: missing settings: {', '.join(named)}" in ended.stderr


@pytest.mark.parametrize("name", HTTP)
@pytest.mark.parametrize(
    "path", ["/nothing", "/apiv1", "/apiv1/x/y/z/1/2", "/robots.txt", "/apiv1/../etc/passwd", "/a%0Ab"]
)
def test_an_unknown_path_is_not_found(door: Door, name: str, path: str) -> None:
    answer = door(name).get(path)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.get_json(force=True)["type"] == "urn:medley:problem:not-found"


@pytest.mark.parametrize(
    ("name", "method", "path", "allowed"),
    [
        ("upload", "GET", "/apiv1/separate", "POST"),
        ("queue", "POST", "/apiv1/queue", "GET, HEAD"),
        ("song", "DELETE", f"/apiv1/songs/{SONG}", "GET, HEAD"),
        ("song", "GET", f"/apiv1/songs/{SONG}/callbacks/x", "POST"),
        ("fetch", "POST", f"/apiv1/track/{SONG}/vocals", "GET, HEAD"),
        ("delete", "GET", f"/apiv1/remove/{SONG}", "DELETE"),
    ],
)
def test_another_method_is_not_allowed(door: Door, name: str, method: str, path: str, allowed: str) -> None:
    answer = door(name).open(path, method=method)
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert answer.headers["Allow"] == allowed


def test_a_body_that_nobody_wants_is_read_to_its_end(door: Door) -> None:
    """Many clients read the answer only when they have sent everything."""
    body = io.BytesIO(bytes(1_000_000))
    answer = door("queue").post("/apiv1/queue", input_stream=body, content_length=1_000_000)
    assert answer.get_json(force=True)["status"] == 405
    assert body.tell() == 1_000_000


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("queue", "GET", "/apiv1/queue/"),
        ("song", "GET", f"/apiv1/songs/{SONG}"),
        ("fetch", "GET", f"/apiv1/track/{SONG}/vocals/"),
        ("fetch", "GET", f"/apiv1/parts/{SONG}/vocals/0"),
        ("delete", "DELETE", f"/apiv1/remove/{SONG}"),
    ],
)
def test_a_store_that_is_away_is_said_so(door: Door, name: str, method: str, path: str) -> None:
    answer = door(name).open(path, method=method)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.get_json(force=True)["type"] == "urn:medley:problem:unavailable"


@pytest.mark.parametrize("name", WOKEN)
@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "application/json"), (b"{}", "application/cloudevents+json"), (b"\xff", "text/plain"), (b"[1]", "x/y")],
)
def test_what_is_no_event_is_not_to_be_sent_again(door: Door, name: str, body: bytes, kind: str) -> None:
    assert door(name).post("/", data=body, headers={"Content-Type": kind}).status_code == 400


@pytest.mark.parametrize(
    ("name", "event_type", "data"),
    [
        ("callback", names.CALLBACK_DUE, '{"a":' * 5000 + "1" + "}" * 5000),
        ("callback", names.CALLBACK_DUE, f'{{"hash": "{SONG}", "callback": "\\ud800"}}'),
        ("logsink", names.LOG_WRITTEN, '{"host": "h", "function": "f", "level": "info", "message": "\\ud800"}'),
    ],
)
def test_data_that_nobody_can_store_is_not_to_be_sent_again(door: Door, name: str, event_type: str, data: str) -> None:
    whole = f'{{"specversion": "1.0", "id": "1", "source": "x", "type": "{event_type}", "data": {data}}}'
    answer = door(name).post("/", data=whole, headers={"Content-Type": "application/cloudevents+json"})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("name", [name for name in WOKEN if name != "logsink"])  # which takes dead letters of any type
@pytest.mark.parametrize("event_type", ["dev.medley.nothing.v1", "dev.medley.song.uploaded.v9"])
def test_an_event_of_another_type_is_not_to_be_sent_again(door: Door, name: str, event_type: str) -> None:
    assert door(name).post("/", **event(event_type, {"hash": SONG})).status_code == 422


def test_no_error_is_longer_than_a_broker_can_bear(door: Door) -> None:
    answer = door("separate").post("/", **event("ä" * 2000, {"hash": SONG}))
    assert answer.status_code == 422
    assert len(answer.data) <= 768
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.json["detail"].startswith("An event of type")


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("separate", names.SONG_UPLOADED),
        ("callback", names.CALLBACK_DUE),
        ("logsink", names.LOG_WRITTEN),
        ("logsink", names.SONG_FAILED),
    ],
)
@pytest.mark.parametrize("data", [{}, {"hash": 5}, {"hash": "../x"}, [1], "text", None])
def test_an_event_about_nothing_is_not_to_be_sent_again(door: Door, name: str, event_type: str, data: Any) -> None:
    assert door(name).post("/", **event(event_type, data)).status_code == 422


@pytest.mark.parametrize(("name", "event_type"), [("separate", names.SONG_UPLOADED), ("sweep", names.PING)])
def test_an_event_that_cannot_be_served_now_is_to_be_sent_again(door: Door, name: str, event_type: str) -> None:
    answer = door(name).post("/", **event(event_type, {"hash": SONG}))
    assert answer.status_code == 503


@pytest.mark.parametrize("name", names.FUNCTIONS)
def test_missing_settings_are_named_at_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in settings.STORES:
        monkeypatch.delenv(setting.upper(), raising=False)
    settings.settings.cache_clear()
    with pytest.raises(settings.BadSettings, match="REDIS_URL"):
        opened(name)
    settings.settings.cache_clear()


@pytest.mark.parametrize("name", WOKEN)
def test_an_event_larger_than_any_of_ours_is_not_read(door: Door, name: str) -> None:
    body = io.BytesIO(bytes(events.LARGEST + 1))
    answer = door(name).post("/", input_stream=body, content_length=events.LARGEST + 1)
    assert (answer.status_code, answer.get_json(force=True)["type"]) == (413, "urn:medley:problem:too-large")


@pytest.mark.parametrize("attribute", ["id", "source", "type"])
@pytest.mark.parametrize("value", [5, ["x"], None, {}])
def test_an_event_whose_attributes_are_no_texts_is_not_to_be_sent_again(door: Door, attribute: str, value: Any) -> None:
    about = {"specversion": "1.0", "id": "1", "source": "x", "type": names.SONG_FAILED, "data": {"hash": SONG}}
    whole = json.dumps({**about, attribute: value})
    answer = door("logsink").post("/", data=whole, headers={"Content-Type": "application/cloudevents+json"})
    assert answer.status_code == 400
