"""Songs may be called anything; their folders may not."""

from pathlib import Path

import pytest

from medley.client.folders import free_name, safe_name, song_folder

NAMES = {
    "../../etc/passwd": "_.._etc_passwd",
    "/": "_",
    "AC/DC": "AC_DC",
    'say "hi" \\ <now>?': "say _hi_ _ _now__",
    "two\nlines\tand\x00nul": "two lines and nul",
    "🎵 Ümläut ♥ 日本": "🎵 Ümläut ♥ 日本",
    "e\u0301": "é",
    "right\u202eleft": "right left",
    "...": "song",
    "": "song",
    " . ": "song",
    "trailing. ": "trailing",
    "nul": "_nul",
    "COM1.wav": "_COM1.wav",
    "lone \ud800 surrogate": "lone _ surrogate",
}


@pytest.mark.parametrize(("name", "safe"), NAMES.items(), ids=map(ascii, NAMES))
def test_a_name_is_safe(name: str, safe: str, tmp_path: Path) -> None:
    assert safe_name(name) == safe
    (tmp_path / safe).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [safe]


@pytest.mark.parametrize("name", ["x" * 10_000, "🎵" * 3000, "y" * 300 + ".mp3"])
def test_a_name_is_short_enough(name: str) -> None:
    assert len(safe_name(name).encode()) <= 150
    assert safe_name(name).endswith(name[-4:] if "." in name else name[-1])


def test_a_song_keeps_its_folder_and_another_gets_its_own(tmp_path: Path) -> None:
    first = song_folder(tmp_path, "Song", "a" * 64, {"name": "Song"})
    assert first == tmp_path / "Song"
    assert song_folder(tmp_path, "Song", "a" * 64, {}) == first
    second = song_folder(tmp_path, "Song", "b" * 64, {})
    assert second == tmp_path / "Song-bbbbbbbbbbbb"
    assert song_folder(tmp_path, "Song", "b" * 64, {}) == second


@pytest.mark.parametrize("content", [{"mine.txt": "x"}, {"song.json": "no json"}, {"song.json": "[]"}])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, content: dict[str, str]) -> None:
    (tmp_path / "Song").mkdir()
    for name, text in content.items():
        (tmp_path / "Song" / name).write_text(text)
    assert song_folder(tmp_path, "Song", "a" * 64, {}).name == "Song-aaaaaaaaaaaa"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "Song").write_text("")
    assert song_folder(tmp_path, "Song", "a" * 64, {}).name == "Song-aaaaaaaaaaaa"


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "Song").mkdir()
    assert song_folder(tmp_path, "Song", "a" * 64, {}) == tmp_path / "Song"


def test_a_free_name_is_as_asked_where_it_can_be(tmp_path: Path) -> None:
    assert free_name(tmp_path, "a.b.mp3") == tmp_path / "a.b.mp3"
    (tmp_path / "a.b.mp3").touch()
    assert free_name(tmp_path, "a.b.mp3") == tmp_path / "a.b-2.mp3"
