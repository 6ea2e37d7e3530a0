"""That MP4 and QuickTime files which claim what they cannot hold are refused before FFmpeg believes them."""

import io
import struct
import tempfile
import zlib
from collections.abc import Callable

import av
import numpy as np
import pytest

from medley import boxes
from medley.audio import decode, probe
from medley.boxes import claim_too_much
from medley.errors import BadAudio
from tests import sounds

MANY = 50_000_000
UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def full(kind: bytes, *numbers: int, tail: bytes = b"") -> bytes:
    return box(kind, struct.pack(f">{1 + len(numbers)}I", 0, *numbers), tail)


FTYP = box(b"ftyp", b"M4A \0\0\0\0M4A ")
MDAT = box(b"mdat", bytes(64))
MVHD = full(b"mvhd", 0, 0, 44100, MANY, tail=struct.pack(">IH10x", 0x10000, 0x100) + UNITY + bytes(24) + b"\0\0\0\2")
SIZES = full(b"stsz", 1, MANY)
ALAC = full(b"alac", 4096, tail=struct.pack(">6BHIII", 0, 16, 40, 10, 14, 2, 255, 0, 0, 44100))
ALAC_ENTRY = box(b"alac", bytes(6), b"\0\1", bytes(8), struct.pack(">4HI", 2, 16, 0, 0, 44100 << 16), ALAC)
PCM_ENTRY = box(b"sowt", bytes(6), b"\0\1", bytes(8), struct.pack(">4HI", 2, 16, 0, 0, 44100 << 16))


def trak(
    sizes: bytes = SIZES, *, tick: int = 2, run: int = MANY, chunks: int = 1, edits: int = 0, **more: bytes
) -> bytes:
    """A track of sound that claims MANY samples of a byte each, if not told otherwise."""
    tables = (
        full(b"stsd", 1, tail=more.get("entry", ALAC_ENTRY)),
        full(b"stts", 1, MANY, tick),
        full(b"stsc", 1, 1, run, 1),
        sizes,
        full(b"stco", chunks, *[32] * chunks),
    )
    data = box(b"dinf", full(b"dref", 1, tail=full(b"url ", 1)))
    minf = box(b"minf", full(b"smhd", 0), data, box(b"stbl", *tables, more.get("hidden", b"")))
    handler = full(b"hdlr", 0, int.from_bytes(more.get("handler", b"soun")), tail=bytes(13))
    mdia = box(b"mdia", full(b"mdhd", 0, 0, 44100, MANY, 0x55C40000), handler, minf)
    elst = box(b"edts", full(b"elst", edits, *[MANY, 0, 0x10000] * edits)) if edits else b""
    return box(b"trak", full(b"tkhd", 0, 0, 1, 0, MANY, tail=bytes(16) + UNITY + bytes(8)), elst, mdia)


def moof(count: int) -> bytes:
    return box(b"moof", full(b"mfhd", 1), box(b"traf", full(b"tfhd", 1), full(b"trun", count)))


def movie(*parts: bytes, kind: bytes = b"moov") -> bytes:
    return FTYP + MDAT + box(kind, MVHD, *parts)


NONE = full(b"stsz", 1, 1)
IN_FRAGMENTS = box(b"mvex", full(b"trex", 1, 1, 2, 1, 0))
LARGE = struct.pack(">I4sQ", 1, b"moov", 16 + len(MVHD + trak())) + MVHD + trak()
TO_THE_END = struct.pack(">I4s", 0, b"moov") + MVHD + trak()
SIDX = full(b"sidx", 1, 44100, 0, 0, 2, *(64 + 8, 1, 0), *(64, 1, 0))  # the second is 8 bytes behind the first
BOMBS: dict[str, Callable[[], bytes]] = {
    "samples": lambda: movie(trak()),
    "many tracks of some": lambda: movie(*[trak(full(b"stsz", 1, 50_000))] * 20),
    "samples of sizes": lambda: movie(trak(full(b"stsz", 0, MANY))),
    "samples of small sizes": lambda: movie(trak(full(b"stz2", 4, MANY))),
    "chunks": lambda: movie(trak(NONE, tick=1, run=1 << 27, chunks=100, entry=PCM_ENTRY)),
    "chunks of a tick that FFmpeg makes one": lambda: movie(
        trak(NONE, tick=0xFFFFFFFF, run=1 << 27, chunks=100, entry=PCM_ENTRY)
    ),
    "video that calls itself steady": lambda: movie(trak(tick=1, handler=b"vide")),
    "edits": lambda: movie(trak(full(b"stsz", 1, 1000), edits=1000)),
    "fragments": lambda: movie(trak(NONE), IN_FRAGMENTS) + moof(MANY),
    "many fragments": lambda: movie(trak(NONE), IN_FRAGMENTS) + moof(10_000) * 100,
    "a fragment that only an index names": lambda: (
        movie(trak(NONE), IN_FRAGMENTS) + SIDX + moof(1) + box(b"mdat", moof(MANY))
    ),
    "a size of 64 bits": lambda: FTYP + MDAT + LARGE,
    "no size": lambda: FTYP + MDAT + TO_THE_END,
    "a header in free": lambda: movie(trak(), kind=b"free"),
    "a header in hoov": lambda: movie(trak(), kind=b"hoov"),
    "tables outside of a track": lambda: movie(trak(NONE), SIZES),
    "tables in tags": lambda: movie(trak(NONE), box(b"udta", box(b"meta", bytes(4), full(b"hdlr", 0), SIZES))),
    "tables in tags without a handler": lambda: movie(box(b"meta", bytes(100), full(b"hdlr", 0), SIZES)),
    "tables in a description": lambda: movie(trak(NONE, entry=ALAC_ENTRY + SIZES)),
    "two tables": lambda: movie(trak(NONE, hidden=NONE)),
    "a compressed header": lambda: FTYP + MDAT + box(b"moov", compressed(MVHD + trak())),
    "a box of a kind unknown first": lambda: box(b"what") + movie(trak()),
}


def compressed(moov: bytes) -> bytes:
    return box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", struct.pack(">I", len(moov)), zlib.compress(moov)))


@pytest.mark.parametrize("name", BOMBS)
def test_what_claims_more_than_it_holds_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "open", lambda *args, **options: pytest.fail("FFmpeg saw it"))
    with pytest.raises(BadAudio, match="more than the file can hold"):
        probe(io.BytesIO(BOMBS[name]()), 7200)


def test_boxes_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "BOXES", 100)
    assert not claim_too_much(io.BytesIO(FTYP + box(b"skip") * 99))
    assert claim_too_much(io.BytesIO(FTYP + box(b"skip") * 100))


def test_neither_depth_nor_tracks_have_no_end() -> None:
    deep = b""
    for _ in range(11):
        deep = box(b"udta", deep)
    assert not claim_too_much(io.BytesIO(FTYP + deep[8:]))
    assert claim_too_much(io.BytesIO(FTYP + deep))
    assert not claim_too_much(io.BytesIO(movie(*[box(b"trak")] * 1000)))
    assert claim_too_much(io.BytesIO(movie(*[box(b"trak")] * 1001)))


def test_the_largest_song_is_below_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = movie(trak(full(b"stsz", 1, 300_000))), movie(*[trak(full(b"stsz", 1, 2_000_000))] * 3)
    assert not claim_too_much(io.BytesIO(tables[0]))
    assert claim_too_much(io.BytesIO(tables[1] + bytes(24_000_000)))


# --- Honest files -----------------------------------------------------------------------------------------------------

FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
KINDS = {
    "AAC": ("ipod", "aac", "fltp", ""),
    "AAC, header first": ("mp4", "aac", "fltp", "faststart"),
    "AAC in fragments": ("mp4", "aac", "fltp", FRAGMENTS),
    "AAC in fragments of a frame": ("mp4", "aac", "fltp", FRAGMENTS + "+frag_every_frame"),
    "AAC in fragments with an index": ("mp4", "aac", "fltp", "dash+global_sidx"),
    "AAC in QuickTime": ("mov", "aac", "fltp", ""),
    "ALAC": ("ipod", "alac", "s16p", ""),
    "ALAC in QuickTime": ("mov", "alac", "s16p", ""),
    "AC-3": ("mp4", "ac3", "fltp", ""),
    "MP3": ("mp4", "libmp3lame", "fltp", ""),
    "FLAC": ("mp4", "flac", "s16", ""),
    "PCM": ("mov", "pcm_s16le", "s16", ""),
    "PCM of 8 bits": ("mov", "pcm_u8", "u8", ""),
    "PCM of floats": ("mov", "pcm_f32le", "flt", ""),
    "PCM in MP4": ("mp4", "pcm_s16le", "s16", ""),
    "PCM in fragments": ("mov", "pcm_s16le", "s16", FRAGMENTS),
    "telephone": ("mov", "pcm_mulaw", "s16", ""),
    "ADPCM": ("mov", "adpcm_ima_qt", "s16p", ""),
}


def song(name: str, *, seconds: float = 3.0, rate: int = 44100, channels: int = 2, video: bool = False) -> bytes:
    muxer, codec, kind, flags = KINDS[name]
    with tempfile.NamedTemporaryFile() as file:  # with a name: FFmpeg reads it again where the header comes first
        with av.open(file.name, "w", format=muxer, options={"movflags": flags} if flags else {}) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.layout, stream.format = sounds.LAYOUTS[channels], kind
            if video:
                film = container.add_stream("mpeg4", rate=25)
                film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
                for i in range(round(25 * seconds)):
                    picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i, np.uint8), "rgb24")
                    container.mux(film.encode(picture.reformat(format="yuv420p")))
                container.mux(film.encode(None))
            frame = sounds.frame(sounds.samples(seconds, rate, channels), kind, rate)
            container.mux([*stream.encode(frame), *stream.encode(None)])
        return file.read()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("video", [False, True])
def test_honest_files_are_songs(name: str, video: bool) -> None:
    data = song(name, video=video)
    assert probe(io.BytesIO(data), 7200).seconds == pytest.approx(3.0, abs=0.1)
    with tempfile.TemporaryFile() as out:
        assert decode(io.BytesIO(data), out).length == pytest.approx(3 * 44100, abs=3000)


@pytest.mark.parametrize("name", ["PCM of 8 bits", "telephone", "ADPCM", "PCM"])
def test_a_sample_of_a_byte_is_no_lie(name: str) -> None:
    data = song(name, seconds=130.0, rate=8000, channels=1)
    assert boxes.FREE + len(data) // 4 < 130 * 8000 or name == "PCM"
    assert probe(io.BytesIO(data), 7200).seconds == pytest.approx(130.0, abs=0.1)


def test_a_song_that_was_cut_off_is_one() -> None:
    data = song("AAC, header first")
    assert probe(io.BytesIO(data[: len(data) // 2]), 7200).seconds == pytest.approx(1.5, abs=0.3)
