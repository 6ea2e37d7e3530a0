"""JSON from a client, in as little memory as its bytes."""

import json
import tracemalloc

import pytest

from functions.upload.body import one_byte, read_json
from functions.upload.options import _shown

LONGEST = 10_000


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("name", ["plain", "é", "音楽", "🎸🎸 x", 'a "quote" \\u0041 \\', "\x7f", "", "\ud83c"])
def test_it_says_the_same(name: str, escaped: bool) -> None:
    said = {"mp3": "QUFB" * LONGEST, "song_name": name, name: [name]}
    data = json.dumps(said, ensure_ascii=escaped).encode(errors="replace")
    text = one_byte(data, LONGEST).decode("ascii")
    assert read_json(text) == json.loads(data)
    assert text.isascii()


@pytest.mark.parametrize("data", [b'{"a": "\xff"}', b'{"a": "\xe9"}', b'"\xf0\x9f\x8e"', b"\xed\xa0\x80"])
def test_what_is_not_utf_8_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="utf-8"):
        one_byte(data, LONGEST)


@pytest.mark.parametrize("letter", ["é", "🎸", "\\ud83c\\udfb8"])
def test_base64_has_no_letter_beyond_ascii(letter: str) -> None:
    """It would be four bytes for each of its letters."""
    for song in (letter + "A" * LONGEST, "A" * LONGEST + letter, "A" * LONGEST + '\\"' + letter):
        with pytest.raises(ValueError, match="base64"):
            one_byte(f'{{"song_name": "x", "mp3": "{song}"}}'.encode(), LONGEST)


def test_more_letters_beyond_ascii_than_any_upload_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="more letters"):
        one_byte(json.dumps(["é" * 10] * LONGEST, ensure_ascii=False).encode(), LONGEST)


def test_what_an_answer_shows_of_a_long_option_takes_no_memory() -> None:
    for value in ("\x7f" * 10_000_000, ["\x7f" * 10_000_000]):
        tracemalloc.start()
        assert len(_shown(value)) <= 80
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000


@pytest.mark.parametrize("letter", ["\\u003d", "\\u002B", "\\/", "\\n"])
def test_base64_may_have_its_own_letters_escaped(letter: str) -> None:
    """Gson writes = so, and .NET +."""
    data = f'{{"mp3": "{"A" * LONGEST}{letter}"}}'.encode()
    assert one_byte(data, LONGEST) == data


def test_a_text_without_an_end_is_looked_at_once() -> None:
    """And not again from each of its quotes: that would take hours."""
    one_byte(b'{"mp3": "' + b'\\"' * 2_000_000 + b"\\ud83c", LONGEST * 1000)
