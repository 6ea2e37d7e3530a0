"""What a URL and a stored file name."""

import pytest

from medley.demux import BY_CODEC, DEMUXERS, WITH_VIDEO
from medley.errors import BadTrack, NotFound
from medley.models import FOUR
from medley.output import ORIGINALS, Output, parse, parse_file


@pytest.mark.parametrize(
    ("track", "output"),
    [
        ("vocals", Output("vocals", "mp3", 320)),
        ("vocals.mp3", Output("vocals", "mp3", 320)),
        ("base.mp3", Output("bass", "mp3", 320)),
        ("bass.wav", Output("bass", "wav")),
        ("no_vocals.flac", Output("vocals", "flac", complement=True)),
        ("no_base", Output("bass", "mp3", 320, complement=True)),
    ],
)
def test_a_track_is_understood(track: str, output: Output) -> None:
    assert parse(track, FOUR) == output


@pytest.mark.parametrize("track", ["guitar", "", "no_", "no_no_vocals", "VOCALS", "original.mp3"])
def test_a_stem_there_is_not_is_not_found(track: str) -> None:
    with pytest.raises(NotFound):
        parse(track, FOUR)


@pytest.mark.parametrize("track", ["vocals.ogg", "vocals.", "vocals.mp3.mp3"])
def test_a_format_there_is_not_is_named(track: str) -> None:
    if track == "vocals.":
        assert parse(track, FOUR).format == "mp3"
        return
    with pytest.raises(BadTrack, match="mp3, wav, flac"):
        parse(track, FOUR)


@pytest.mark.parametrize(
    "output",
    [
        Output("vocals", "mp3", 320),
        Output("vocals", "mp3", 128),
        Output("drums", "wav"),
        Output("bass", "flac", complement=True),
        Output("bass", "mp3", 192, complement=True),
    ],
)
def test_a_stored_file_tells_what_it_is(output: Output) -> None:
    assert parse_file(output.file) == output


@pytest.mark.parametrize("name", ["song.json", "done.json", "original.mp3", "vocals.exe", "parts/x/vocals/0.flac"])
def test_other_objects_are_no_output(name: str) -> None:
    assert parse_file(name) is None


def test_files_of_two_bitrates_do_not_meet() -> None:
    assert Output("vocals", "mp3", 320).file == "vocals.mp3"
    assert Output("vocals", "mp3", 192).file == "vocals.192k.mp3"


def test_the_mix_without_a_stem_is_made_of_the_others() -> None:
    assert Output("vocals", "wav", complement=True).sources(FOUR) == ("drums", "bass", "other")
    assert Output("vocals", "wav").sources(FOUR) == ("vocals",)


def test_the_size_of_a_wav_is_known() -> None:
    assert Output("vocals", "wav").size(10) == 84
    assert Output("vocals", "mp3", 320).size(10) is None


def test_every_original_has_a_type_of_sound() -> None:
    extensions = {*DEMUXERS.values(), *BY_CODEC.values(), *WITH_VIDEO.values()}
    assert set(ORIGINALS) == extensions
    assert all(kind.startswith(("audio/", "video/")) for kind in ORIGINALS.values())
