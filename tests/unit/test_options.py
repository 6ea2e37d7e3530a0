"""What may be asked for with an upload: what is refused says what is offered."""

from typing import Any

import pytest

from functions.upload.options import check
from medley.errors import BadOption
from medley.separation import PRECISIONS, Separation
from medley.song import song_hash

USUAL = Separation("htdemucs")
NO_NUMBERS = [True, False, [1], {"a": 1}, "one", "nan", "NaN", "inf", "1e999", "1_0", "٣", "0x1", " ", "1 2", "9" * 40]
NO_NUMBERS += [-1, "-1", float("nan"), float("inf"), -float("inf"), 10**400, 1e300]


@pytest.mark.parametrize("asked", [{}, {"precision": None, "shifts": None, "overlap": None}])
@pytest.mark.parametrize("empty", [{}, {"precision": "", "shifts": "", "overlap": ""}])
def test_what_is_not_asked_for_is_as_usual(asked: dict[str, Any], empty: dict[str, Any]) -> None:
    assert check({**asked, **empty}).separation == USUAL


def test_the_bounds_are_offered() -> None:
    for precision in PRECISIONS:
        assert check({"precision": precision}).separation.precision == precision
    assert [check({"shifts": shifts}).separation.shifts for shifts in (0, 10)] == [0, 10]
    assert [check({"overlap": overlap}).separation.overlap for overlap in (0, 0.45)] == [0.0, 0.45]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 11, "11", 1.5, "1.5"])
def test_wrong_shifts(value: Any) -> None:
    with pytest.raises(BadOption, match=r'^"shifts" is .{1,90}; offered are whole numbers from 0 to 10\.$') as refused:
        check({"shifts": value})
    assert refused.value.members == {"minimum": 0, "maximum": 10}


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0.46, "0.5", 1, "25%"])
def test_wrong_overlap(value: Any) -> None:
    with pytest.raises(BadOption, match=r'^"overlap" is .{1,90}; offered are fractions from 0 to 0\.45\.$') as refused:
        check({"overlap": value})
    assert refused.value.members == {"minimum": 0, "maximum": 0.45}


@pytest.mark.parametrize("value", ["float16", "EXACT", "exact ", 1, True, ["exact"], {"exact": 1}])
def test_wrong_precision(value: Any) -> None:
    with pytest.raises(BadOption, match=r"; offered are auto, exact, fast\.$") as refused:
        check({"precision": value})
    assert refused.value.members == {"offered": list(PRECISIONS)}


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 321, "3_20", "٣٢٠", " 320 ", 320.5, "320k"])
def test_wrong_bitrate(value: Any) -> None:
    with pytest.raises(BadOption, match=r'^"bitrate" is .{1,90}; offered are 128, 160, 192, 224, 256, 320 kbit/s\.$'):
        check({"bitrate": value})


@pytest.mark.parametrize("value", [192, 192.0, "192"])
def test_a_bitrate_is_a_whole_number_however_it_is_said(value: Any) -> None:
    bitrate = check({"bitrate": value}).bitrate
    assert (bitrate, type(bitrate)) == (192, int)


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ({"shifts": "0"}, {}),
        ({"shifts": 0.0}, {}),
        ({"shifts": -0.0}, {}),
        ({"shifts": "2"}, {"shifts": 2.0}),
        ({"overlap": "0.250"}, {}),
        ({"overlap": 0.25}, {}),
        ({"overlap": "2.5e-1"}, {}),
        ({"overlap": ".1"}, {"overlap": 0.1}),
        ({"overlap": 0}, {"overlap": "-0.0"}),
        ({"precision": "auto"}, {}),
        ({"format": "flac", "bitrate": 128, "stems": "drums"}, {}),
    ],
)
def test_what_says_the_same_is_the_same_song(asked: dict[str, Any], same: dict[str, Any]) -> None:
    one, other = check(asked).separation, check(same).separation
    assert song_hash("0" * 64, one) == song_hash("0" * 64, other)


def test_what_sounds_otherwise_is_another_song() -> None:
    asked: list[dict[str, Any]] = [{}, {"precision": "exact"}, {"precision": "fast"}, {"shifts": 1}, {"overlap": 0.1}]
    assert len({song_hash("0" * 64, check(one).separation) for one in asked}) == len(asked)
