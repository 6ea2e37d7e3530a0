"""The contract's examples against the real service: what it answers, what it publishes, what its functions take."""

import http.server
import json
import signal
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medley import names
from medley.local import manifests
from tests import sounds
from tests.contract.documents import event_example, event_faults, examples, faults
from tests.e2e.harness import MODEL, Called, Service, eventually, listening
from tests.e2e.wire import Answer, as_form, as_json, ask, text, upload

EXAMPLES = examples("http")
ELSEWHERE = {"song-not-found": "no song has that hash"}
HELD = ["song-processing", "queue", "track-not-ready", "call-again-not-finished", "separate-queue-full"]
REMOVALS = ["remove-track", "remove-song"]
DONE = [name for name in EXAMPLES if name not in HELD + REMOVALS]
TOLD = EXAMPLES["song-succeeded"]["answer"]["json"]["hash"]  # the song of the examples, and its callback
CALLBACK = EXAMPLES["call-again"]["request"]["path"].rpartition("/")[2]
LONGEST = 90.0  # s until a new worker has its first part, where other work is on the machine
SONG = sounds.song("mp3", 15)  # long enough to be caught while it is being separated
TRIGGERS = manifests.load(Path(__file__).parents[2] / "knative" / "base").triggers
TAKEN = [(kind, trigger.subscriber.service) for kind in names.EVENTS for trigger in TRIGGERS
         if trigger.matches({"type": kind, "source": "/functions/x"})]  # fmt: skip


class Recorder:
    """What functions announce to in place of the Broker: it keeps each event and hands it on."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.broker = ""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes, kind: str) -> int:
        self.events.append(json.loads(body))
        request = urllib.request.Request(self.broker, body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(recorder.take(body, self.headers["Content-Type"]))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class Stage(Service):
    """A service with a recorder before its Broker and room for one song more than the one that is shown."""

    def __init__(self, data: Path, recorder: Recorder, called: Called) -> None:
        super().__init__(data, BROKER_URL=recorder.url, MAX_QUEUE="2")
        self.recorder, self.called, self.song = recorder, called, ""

    def __enter__(self) -> "Stage":
        super().__enter__()
        self.recorder.broker = self.local.about()["broker_url"]
        return self

    def replay(self, name: str) -> Answer:
        """Sends an example's request, about our song."""
        asked = EXAMPLES[name]["request"]
        path = self._ours(asked["path"]) if name not in ELSEWHERE else asked["path"]
        headers = {key.replace("-", "_"): value for key, value in asked.get("headers", {}).items()}
        body: bytes | None = None
        if "json" in asked:
            body, headers["Content_Type"] = as_json(json.loads(self._ours(json.dumps(asked["json"]))))
        elif "form" in asked:
            fields = json.loads(self._ours(json.dumps(asked["form"])))
            body, headers["Content_Type"] = as_form(**{**fields, "file": SONG})
        elif "body" in asked:
            assert asked["body"] == "{audio}"
            body = SONG
        return ask(self.local.about()["port"], asked["method"], path, body, **headers)

    def _ours(self, said: str) -> str:
        callback = eventually(lambda: self.client.song(self.song)["callbacks"])[0]["id"] if CALLBACK in said else ""
        ours = {TOLD: self.song, CALLBACK: callback, "{mp3}": text(SONG), '"htdemucs"': f'"{MODEL}"'}
        ours["http://client.example/done"] = self.called.url
        for theirs, our in ours.items():
            said = said.replace(theirs, our)
        return said


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    recorder = Recorder()
    with listening() as called, Stage(tmp_path_factory.mktemp("contract") / "data", recorder, called) as stage:
        yield stage
    recorder.server.shutdown()
    recorder.server.server_close()


@pytest.fixture(scope="module")
def held(stage: Stage) -> Stage:
    """Its song is being separated by a worker that stands still, and another song waits."""
    port = stage.local.about()["port"]
    stage.song = upload(port, *as_json({"mp3": text(SONG), "callback": {"url": stage.called.url}})).json["hash"]
    eventually(lambda: int(stage.record(stage.song).get("parts", 0)) > 0, LONGEST, pause=0.02)
    stage.local.signal("separate", signal.SIGSTOP)
    assert stage.record(stage.song)["status"] == "processing"
    assert upload(port, sounds.wav()).status == 200
    return stage


@pytest.fixture(scope="module")
def done(held: Stage) -> Stage:
    """Its song is separated, and the client knows."""
    held.local.signal("separate", signal.SIGCONT)
    assert held.ended(held.song)["status"] == "succeeded"
    eventually(lambda: held.client.song(held.song)["callbacks"][0]["state"] == "delivered")
    eventually(lambda: not held.client.queue()["queue"])
    return held


def check(name: str, answer: Answer) -> None:
    expected = EXAMPLES[name]["answer"]
    assert answer.status == expected["status"], answer.body
    for header, value in expected.get("headers", {}).items():
        if header == "Retry-After":
            assert int(answer.headers[header]) > 0
        else:
            assert answer.headers[header] == value
    if "schema" in expected:
        assert faults(answer.json, expected["schema"]) == []
        assert answer.kind == ("application/problem+json" if expected["schema"] == "Problem" else "application/json")
        alike(answer.json, expected["json"])
    elif expected["status"] < 300 and EXAMPLES[name]["request"]["method"] == "GET":
        assert answer.body


def alike(ours: dict[str, Any], shown: dict[str, Any]) -> None:
    """Problems are of one type, songs of one status, and no member is missing on one side."""
    assert ours.keys() == shown.keys()
    for member in ("type", "title", "status", "state"):
        assert ours.get(member) == shown.get(member)


@pytest.mark.parametrize("name", HELD)
def test_while_the_song_is_being_separated(held: Stage, name: str) -> None:
    if name == "separate-queue-full":
        answer = upload(held.local.about()["port"], sounds.wav(sounds.samples(0.5)))  # not the song that is there
    else:
        answer = held.replay(name)
    check(name, answer)


@pytest.mark.parametrize("name", DONE)
def test_when_it_is_separated(done: Stage, name: str) -> None:
    check(name, done.replay(name))


def test_asking_wakes_nobody(done: Stage) -> None:
    def events() -> list[dict[str, Any]]:
        return [event for event in done.recorder.events if event["type"] != names.LOG_WRITTEN]

    before = events()
    (worker,) = done.client.queue()["workers"]
    done.client.song(done.song)
    assert (worker["state"], worker["device"], worker["precision"], worker["model"]) == ("idle", "cpu", "exact", MODEL)
    assert events() == before


@pytest.mark.parametrize("name", REMOVALS)
def test_at_last(done: Stage, name: str) -> None:
    check(name, done.replay(name))


@pytest.fixture(scope="module")
def failed(done: Stage) -> Stage:
    """Another song, whose audio was lost."""
    done.local.signal("separate", signal.SIGSTOP)
    song = upload(done.local.about()["port"], sounds.wav(sounds.samples(0.7))).json["hash"]
    original = next(name for name in done.objects() if name.startswith(song) and "/original." in name)
    done.s3.remove_object(bucket_name="songs", object_name=original)
    done.local.signal("separate", signal.SIGCONT)
    assert done.ended(song)["status"] == "failed"
    return done


@pytest.mark.parametrize("kind", names.EVENTS)
def test_what_it_publishes_keeps_to_the_schema(failed: Stage, kind: str) -> None:
    published = eventually(lambda: [event for event in failed.recorder.events if event["type"] == kind])
    for event in published:
        assert event_faults(event, kind) == []
    assert len({event["id"] for event in published}) == len(published)


def test_it_publishes_nothing_else(failed: Stage) -> None:
    assert {event["type"] for event in failed.recorder.events} <= set(names.EVENTS)


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize(("kind", "function"), TAKEN)
def test_an_example_of_an_event_is_taken(service: Service, kind: str, function: str, mode: str) -> None:
    answer = post(service, function, event_example(kind), mode)
    assert (answer.status, answer.body) == (204, b"")


OTHER = {**event_example(names.SONG_UPLOADED), "type": "dev.medley.other.v1"}


@pytest.mark.parametrize("function", ["separate", "callback", "sweep", "logsink"])
def test_what_is_no_event_for_it_is_refused_for_good(service: Service, function: str) -> None:
    for wrong in [{"type": names.PING}, *([OTHER] if function != "logsink" else [])]:
        answer = post(service, function, wrong, "structured")
        assert answer.status in (400, 422)  # a Broker does not send those again
        assert faults(answer.json, "Problem") == []


def test_a_dead_letter_may_be_any_event(service: Service) -> None:
    """Knative does not always tell that it is one."""
    assert post(service, "logsink", OTHER, "structured").status == 204
    eventually(lambda: "dev.medley.other.v1" in service.redis.lindex(names.LOGGING, -1))


def test_every_event_is_heard() -> None:
    assert {kind for kind, _ in TAKEN} == set(names.EVENTS)


def post(service: Service, function: str, event: dict[str, Any], mode: str) -> Answer:
    port = int(service.local.about()["functions"][function][0]["port"])
    if mode == "structured":
        return ask(port, "POST", "/", json.dumps(event).encode(), Content_Type="application/cloudevents+json")
    attributes = {f"ce-{name}": value for name, value in event.items() if name not in ("data", "datacontenttype")}
    return ask(port, "POST", "/", json.dumps(event["data"]).encode(), Content_Type="application/json", **attributes)
