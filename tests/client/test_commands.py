"""The command line: exit codes, what goes to stdout, and where stems end up."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medley.__main__ import medley
from tests.client.service import Answer, Service, as_json, example, problem

SONG = example("song-succeeded")
HASH = SONG["hash"]
STEMS = ("drums", "bass", "other", "vocals")
SEPARATE, SONGS = "POST /apiv1/separate", f"GET /apiv1/songs/{HASH}"


def run(service: Service | str, *arguments: str) -> Result:
    url = service if isinstance(service, str) else service.url
    return CliRunner(env={"MEDLEY_URL": url}).invoke(medley, arguments)


@pytest.fixture
def mp3(tmp_path: Path) -> Path:
    return song_file(tmp_path, "Song.mp3")


@pytest.fixture
def ready(service: Service) -> Service:
    """A service that has separated the example's song."""
    service.on(SEPARATE, as_json({"hash": HASH, "reason": "Song enqueued for separation"}))
    have(service, HASH)
    return service


def song_file(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(b"ID3" + name.encode(errors="replace"))
    return path


def have(service: Service, song: str) -> None:
    service.on(f"GET /apiv1/songs/{song}", as_json({**SONG, "hash": song}))
    for stem in STEMS:
        for format_ in ("mp3", "wav"):
            service.on(f"GET /apiv1/track/{song}/{stem}.{format_}", Answer(200, f"{song[0]} {stem}".encode()))


def test_separate_saves_every_stem_and_prints_where(ready: Service, mp3: Path, tmp_path: Path) -> None:
    result = run(ready, "separate", str(mp3), "--out", str(tmp_path / "out"))
    folder = tmp_path / "out" / "Song"
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [str(folder / f"{stem}.mp3") for stem in STEMS]
    assert (folder / "vocals.mp3").read_bytes() == b"9 vocals"
    assert json.loads((folder / "song.json").read_text())["hash"] == HASH
    assert HASH in result.stderr


def test_separate_passes_its_options_on(ready: Service, mp3: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--format", "wav", "--stems", "vocals, bass", "--model", "htdemucs", "--callback", "http://c/"]
    options += ["--precision", "exact", "--shifts", "0", "--overlap", "0"]
    result = run(ready, "separate", str(mp3), "--out", str(out), *options)
    assert result.exit_code == 0
    assert sorted(path.name for path in (out / "Song").iterdir()) == ["bass.wav", "song.json", "vocals.wav"]
    assert ready.asked[0].query == {
        "song_name": "Song",
        "format": "wav",
        "stems": "vocals,bass",
        "model": "htdemucs",
        "precision": "exact",
        "shifts": "0",
        "overlap": "0.0",
        "callback": "http://c/",
    }


def test_separate_as_json_is_one_line_a_file(ready: Service, mp3: Path, tmp_path: Path) -> None:
    result = run(ready, "separate", str(mp3), str(mp3), "--out", str(tmp_path / "out"), "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 2
    assert lines[0]["hash"] == HASH
    assert lines[0]["status"] == "succeeded"
    assert lines[0]["error"] is None
    assert Path(lines[0]["stems"]["drums"]).is_file()


def test_a_file_that_cannot_be_sent_leaves_the_others_alone(ready: Service, mp3: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDWR)  # or whoever opens it waits for a writer
    try:
        result = run(ready, "separate", str(mp3), str(tmp_path / "pipe"), "--out", str(tmp_path / "out"), "--json")
    finally:
        os.close(held)
    sent, refused = (json.loads(line) for line in result.stdout.splitlines())
    assert (sent["status"], sent["hash"], result.exit_code) == ("succeeded", HASH, 2)
    assert refused["error"]["type"] == "usage"


def test_two_songs_of_one_name_do_not_meet(service: Service, tmp_path: Path) -> None:
    one, two = song_file(tmp_path / "a", "Song.mp3"), song_file(tmp_path / "b", "Song.mp3")
    hashes = ["a" * 64, "b" * 64]
    service.on(SEPARATE, *(as_json({"hash": song, "reason": "ok"}) for song in hashes))
    for song in hashes:
        have(service, song)
    assert run(service, "separate", str(one), str(two), "--out", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / "Song" / "vocals.mp3").read_bytes() == b"a vocals"
    assert (tmp_path / "out" / "Song-bbbbbbbbbbbb" / "vocals.mp3").read_bytes() == b"b vocals"


@pytest.mark.parametrize("name", ['quo"te.mp3', "new\nline.mp3", "🎵.mp3", "back\\slash.mp3", "...mp3", "-dash.mp3"])
def test_a_files_odd_name_stays_below_the_folder(ready: Service, tmp_path: Path, name: str) -> None:
    path, out = song_file(tmp_path / "in", name), tmp_path / "out"
    result = run(ready, "separate", "--out", str(out), "--", str(path))
    assert result.exit_code == 0, result.output
    assert len(list(out.glob("*/vocals.mp3"))) == 1


def test_one_bad_file_leaves_the_others_alone(ready: Service, mp3: Path, tmp_path: Path) -> None:
    refused = problem(422, "bad-audio", "There is no audio in it.")
    ready.answers[SEPARATE].insert(0, refused)
    result = run(ready, "separate", str(mp3), str(mp3), "--out", str(tmp_path / "out"), "--json")
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 1
    assert first["error"]["type"] == "urn:medley:problem:bad-audio"
    assert "There is no audio in it." in result.stderr
    assert second["status"] == "succeeded"


def test_a_failed_song_says_why(service: Service, mp3: Path, tmp_path: Path) -> None:
    service.on(SEPARATE, as_json(example("separate-raw")))
    service.on(SONGS, as_json({**SONG, "status": "failed", "error": {"type": "crash", "detail": "It was too loud."}}))
    result = run(service, "separate", str(mp3), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "It was too loud." in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (as_json(SONG), 0),
        (as_json(example("song-processing")), 0),
        (as_json({**SONG, "status": "failed", "error": {"type": "x", "detail": "y"}}), 1),
        (as_json({**SONG, "status": "canceled", "stems": [], "original": None}), 1),
        (problem(400, "bad-track"), 1),
        (problem(500, "crash"), 1),
        (problem(503, "unavailable"), 1),
        (Answer(502, b"proxy"), 1),
        (Answer(200, b"<html>"), 3),
        (problem(404, "not-found"), 4),
        (problem(404, "not-ready"), 4),
        (problem(409, "not-finished"), 4),
    ],
)
@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_exit_codes(service: Service, answer: Answer, code: int, json_: list[str]) -> None:
    service.on(SONGS, answer)
    result = run(service, "status", HASH, *json_)
    assert result.exit_code == code, result.output
    if json_:
        assert ("error" in json.loads(result.stdout)) is True
        assert len(result.stdout.splitlines()) == 1


COMMANDS = [["queue"], ["status", "x"], ["get", "x", "vocals"], ["remove", "x"], ["callbacks", "x"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_no_service_is_3(nowhere: str, arguments: list[str], tmp_path: Path) -> None:
    result = run(nowhere, *arguments)
    assert result.exit_code == 3
    assert nowhere in result.stderr
    assert result.stdout == ""


def test_no_service_is_3_for_separate_too(nowhere: str, mp3: Path) -> None:
    assert run(nowhere, "separate", str(mp3)).exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["separate"],
        ["separate", "/no/such/file"],
        ["separate", __file__, "--precision", "float16"],
        ["separate", __file__, "--shifts", "-1"],
        ["separate", __file__, "--overlap", "much"],
        ["status"],
        ["nosuch"],
        ["status", ""],
        ["queue", "--url", "ftp://x"],
        ["up", "--port", "70000"],
        ["up", "--broker-port", "-5"],
    ],
)
def test_wrong_usage_is_2(nowhere: str, arguments: list[str]) -> None:
    assert run(nowhere, *arguments).exit_code == 2


def test_a_file_that_cannot_be_written_is_1(ready: Service, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = run(ready, "get", HASH, "vocals.mp3", "--out", str(tmp_path / "file" / "v.mp3"))
    assert result.exit_code == 1
    assert str(tmp_path / "file") in result.stderr


def test_queue(service: Service) -> None:
    service.on("GET /apiv1/queue", as_json(example("queue")))
    assert run(service, "queue").stdout == f"{HASH}\n"
    assert "cuda" in run(service, "queue").stderr
    assert json.loads(run(service, "queue", "--json").stdout) == example("queue")


def test_status_tells_in_words(service: Service) -> None:
    service.on(SONGS, as_json(example("song-processing")))
    first = run(service, "status", HASH).stdout.splitlines()[0]
    assert first == "Slow Motion Dream: separating, 33%, 0:08 left"


def test_status_tells_what_computed_it_last(service: Service) -> None:
    again = [*SONG["computed"], {"part": 0, "precision": "exact", "device": "cpu"}]
    for computed, told in ((again, "htdemucs (exact, cpu)"), ([], "htdemucs")):
        service.on(SONGS, as_json({**SONG, "computed": computed}))
        assert run(service, "status", HASH).stdout.splitlines()[1] == f"  0:31 min, {told}, 6 of 6 parts"


def test_a_name_does_not_steer_the_terminal(service: Service) -> None:
    service.on(SONGS, as_json({**SONG, "name": "\x1b[2Jgone"}))
    assert "\x1b" not in run(service, "status", HASH).stdout


def test_get(ready: Service, tmp_path: Path) -> None:
    result = run(ready, "get", HASH, "vocals.mp3", "--out", str(tmp_path / "v.mp3"), "--bitrate", "128", "--json")
    assert json.loads(result.stdout) == {
        "hash": HASH,
        "track": "vocals.mp3",
        "file": str(tmp_path / "v.mp3"),
        "bytes": 8,
    }
    assert ready.asked[-1].query == {"bitrate": "128"}


def test_get_into_a_folder_that_it_makes(ready: Service, tmp_path: Path) -> None:
    assert run(ready, "get", HASH, "vocals.mp3", "--out", str(tmp_path / "new" / "v.mp3")).exit_code == 0
    assert (tmp_path / "new" / "v.mp3").read_bytes() == b"9 vocals"


def test_get_to_stdout_prints_nothing_else_there(ready: Service) -> None:
    assert run(ready, "get", HASH, "vocals.mp3", "--out", "-").stdout_bytes == b"9 vocals"


def test_remove(service: Service) -> None:
    service.on(f"DELETE /apiv1/remove/{HASH}", as_json(example("remove-song")))
    service.on(f"DELETE /apiv1/remove/{HASH}/vocals", as_json(example("remove-track")))
    assert run(service, "remove", HASH).stdout == "Song removed\n"
    assert json.loads(run(service, "remove", HASH, "vocals", "--json").stdout) == example("remove-track")


def test_callbacks(service: Service) -> None:
    service.on(SONGS, as_json(SONG))
    id_ = SONG["callbacks"][0]["id"]
    service.on(f"POST /apiv1/songs/{HASH}/callbacks/{id_}", as_json(example("call-again")))
    listed = run(service, "callbacks", HASH)
    assert "client.example" in listed.stdout
    assert "timed out after 15.0 s" in listed.stdout
    assert json.loads(run(service, "callbacks", HASH, "--json").stdout)["callbacks"] == SONG["callbacks"]
    assert run(service, "callbacks", HASH, "--again", id_).stdout == "Callback is sent once more\n"


@pytest.mark.parametrize("name", ["separate", "queue", "status", "get", "remove", "callbacks"])
def test_help_tells_the_exit_codes(name: str) -> None:
    result = CliRunner().invoke(medley, [name, "--help"])
    assert result.exit_code == 0
    assert "Exit codes: 0 all is well" in result.output
