"""What is a song and what is none, and that its sound is decoded whole, at its level, whatever the bytes."""

import io
import random
import tempfile
from collections.abc import Callable

import av
import numpy as np
import pytest

from medley import audio, channels, demux
from medley.audio import Mix, Probe, decode, probe
from medley.demux import opened
from medley.errors import BadAudio
from tests import sounds

LIMIT = 7200.0


def probed(data: bytes, limit: float = LIMIT) -> Probe:
    return probe(io.BytesIO(data), limit)


@pytest.fixture
def decoded() -> Callable[[bytes], Mix]:
    def decoded(data: bytes) -> Mix:
        with tempfile.TemporaryFile() as out:
            return decode(io.BytesIO(data), out, 44100, LIMIT)

    return decoded


@pytest.mark.parametrize("extension", sounds.CODECS)
def test_formats_are_told_by_their_content(extension: str, decoded: Callable[[bytes], Mix]) -> None:
    data = sounds.song(extension)
    found = probed(data)
    assert (found.extension, found.channels) == (extension, 2)
    assert found.samplerate == (48000 if extension == "opus" else 44100)
    assert found.seconds == pytest.approx(1.0, abs=0.05)
    mix = decoded(data)
    assert mix.samples.shape == (2, mix.length)
    assert mix.length == pytest.approx(44100, abs=2500)
    loud = np.sqrt(np.mean(mix.samples[:, 5000:40000] ** 2, axis=1))
    assert loud == pytest.approx([0.5**0.5 / 2] * 2, rel=0.06)  # LAME turns low bitrates down by 5 %


@pytest.mark.parametrize("name", sounds.GOOD)
def test_unusual_songs_are_songs(name: str, decoded: Callable[[bytes], Mix]) -> None:
    data = sounds.GOOD[name]()
    assert probed(data).seconds == pytest.approx(decoded(data).length / 44100, abs=0.1)


@pytest.mark.parametrize("name", sounds.BAD)
def test_what_is_no_song_is_refused_with_advice(name: str, decoded: Callable[[bytes], Mix]) -> None:
    for look in (probed, decoded):
        with pytest.raises(BadAudio, match="Upload a song as mp3"):
            look(sounds.BAD[name]())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "empty"),
        ("0 seconds", "0 seconds"),
        ("noise", "no audio format"),
        ("an image", "an image"),
        ("video without audio", "no sound"),
        ("a playlist, m3u8", "a playlist"),
        ("a playlist, concat", "a playlist"),
        ("a playlist, mpd", "a playlist"),
    ],
)
def test_the_reason_is_named(name: str, reason: str) -> None:
    with pytest.raises(BadAudio, match=reason):
        probed(sounds.BAD[name]())


def test_what_makes_ffmpeg_fail_on_the_way_is_no_song() -> None:
    with pytest.raises(BadAudio, match="Upload a song as mp3"), opened(io.BytesIO(sounds.song("wav"))):
        av.open(io.BytesIO(b"no song"))
    with pytest.raises(ZeroDivisionError), opened(io.BytesIO(sounds.song("wav"))):
        raise ZeroDivisionError


def test_a_stream_that_pyav_cannot_describe_is_no_song(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demux, "_best", lambda container: {}["no stream"])
    with pytest.raises(BadAudio, match="Upload a song as mp3"):
        probed(sounds.song("wav"))


def test_title_is_read() -> None:
    for extension in ("mp3", "ogg", "m4a"):
        assert probed(sounds.song(extension, title='Ünder / "the"')).title == 'Ünder / "the"'


def test_a_title_in_no_known_encoding_costs_no_song() -> None:
    song = sounds.song("flac", title="ABCD").replace(b"ABCD", b"A\xff\xfeD")
    assert probed(song).title == "A\ufffd\ufffdD"


# --- Lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "seconds"), [(sounds.wav_claiming_more, 1.0), (sounds.wav_claiming_less, 0.1)])
def test_length_is_what_is_there(make: Callable[[], bytes], seconds: float) -> None:
    assert probed(make()).seconds == pytest.approx(seconds)


@pytest.mark.parametrize("extension", ["mp3", "wav", "opus", "m4a"])
def test_too_long_names_the_limit(extension: str) -> None:
    data = sounds.song(extension, 2.0)
    assert probed(data, 2.1)
    with pytest.raises(BadAudio, match=r"longer than 1\.9 seconds"):
        probed(data, 1.9)


def test_decoding_stops_beyond_the_limit() -> None:
    with tempfile.TemporaryFile() as out:
        with pytest.raises(BadAudio, match=r"longer than 0\.5 seconds"):
            decode(io.BytesIO(sounds.wav(sounds.samples(6.0))), out, max_seconds=0.5)
        assert out.tell() < 3 * 44100 * 8


def test_packets_without_time_do_not_hide_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "SHORTEST", 1.0)
    with pytest.raises(BadAudio, match="longer than"):
        probed(sounds.song("mp3"), 5.0)


# --- Samples ----------------------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_file(decoded: Callable[[bytes], Mix]) -> None:
    song = sounds.samples(2.5)
    mix = decoded(sounds.float_wav(song))
    assert np.array_equal(mix.samples, song)
    assert mix.samples.dtype == np.float32
    mono = song.astype(np.float64).mean(axis=0)
    assert mix.mean == pytest.approx(mono.mean(), abs=1e-12)
    assert mix.deviation == pytest.approx(mono.std(ddof=1), rel=1e-9)


def test_samples_are_read_from_disk(decoded: Callable[[bytes], Mix]) -> None:
    mix = decoded(sounds.wav())
    assert isinstance(mix.samples, np.memmap)
    assert mix.samples[:, 100:200].T.flags.c_contiguous  # a segment is one stretch of the file


def test_mono_keeps_its_level(decoded: Callable[[bytes], Mix]) -> None:
    song = sounds.samples(0.5, channels=1)
    assert np.array_equal(decoded(sounds.float_wav(song)).samples, np.repeat(song, 2, axis=0))


def test_resampled_song_is_the_same_tone(decoded: Callable[[bytes], Mix]) -> None:
    mix = decoded(sounds.float_wav(sounds.samples(3.0, 48000), 48000))
    assert mix.length == pytest.approx(3 * 44100, abs=2)
    middle = slice(1000, 3 * 44100 - 1000)
    assert np.abs(mix.samples[:, middle] - sounds.samples(3.0)[:, middle]).max() < 1e-3


def test_surround_is_mixed_by_place(decoded: Callable[[bytes], Mix]) -> None:
    assert channels.weights(6, ("FL", "FR", "FC", "LFE", "BL", "BR")).sum(axis=1) == pytest.approx([1, 1])
    heard = np.abs(np.fft.rfft(decoded(sounds.surround_96khz()).samples[:, :44100]))
    left, right = heard[:, [220, 440, 660, 880, 1100, 1320]] > 100
    assert left.tolist() == [True, False, True, False, True, False]
    assert right.tolist() == [False, True, True, False, False, True]


def test_an_order_of_its_own_is_followed(decoded: Callable[[bytes], Mix]) -> None:
    heard = np.abs(np.fft.rfft(decoded(sounds.mov_in_an_order_of_its_own()).samples)) > 100
    assert heard[:, [110, 220, 330]].tolist() == [[True, True, False], [True, False, True]]  # centre, left, right


def test_many_channels(decoded: Callable[[bytes], Mix]) -> None:
    song = sounds.samples(0.5, channels=18)
    assert np.allclose(decoded(sounds.float_wav(song)).samples, song.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(("codec", "kind"), [("pcm_u8", "u8"), ("pcm_s32le", "s32"), ("pcm_f64le", "dbl")])
def test_any_kind_of_number(codec: str, kind: str, decoded: Callable[[bytes], Mix]) -> None:
    song = sounds.samples(0.5)
    error = decoded(sounds.pcm(codec, kind, song)).samples - song
    assert np.abs(error).max() < (0.01 if kind == "u8" else 1e-6)


def test_numbers_of_64_bits(decoded: Callable[[bytes], Mix]) -> None:
    data = (sounds.samples(0.5) * 2.0**62).astype("<i8").T.tobytes()
    mix = decoded(sounds.riff(data, tag=1, bits=64, channels=2, rate=44100))
    assert np.abs(mix.samples * 2 - sounds.samples(0.5)).max() < 1e-6


def test_numbers_that_are_none_are_silence(decoded: Callable[[bytes], Mix]) -> None:
    song = np.array([[np.nan, np.inf, -np.inf, 1e30, 0.5]] * 2, np.float32)
    mix = decoded(sounds.float_wav(song))
    assert mix.samples[0].tolist() == [0, 0, 0, audio.LOUDEST, 0.5]
    assert np.isfinite([mix.mean, mix.deviation]).all()


def test_silence_and_a_single_sample(decoded: Callable[[bytes], Mix]) -> None:
    silence = decoded(sounds.silence())
    assert (silence.length, silence.mean, silence.deviation) == (44100, 0, 0)
    single = decoded(sounds.float_wav(np.full((2, 1), 0.25, np.float32)))
    assert (single.length, single.mean, single.deviation) == (1, 0.25, 0)


def test_bad_packets_are_left_out(decoded: Callable[[bytes], Mix]) -> None:
    whole, broken = decoded(sounds.song("mp3", 2.0)).length, decoded(sounds.mp3_broken_in_the_middle())
    assert 0.85 * whole < broken.length < whole
    assert np.abs(broken.samples[:, -20000:-5000]).max() > 0.4  # the end is there


def test_song_may_change_on_its_way(decoded: Callable[[bytes], Mix]) -> None:
    mix = decoded(sounds.mp3_changing_rate())
    assert mix.length == pytest.approx(2 * 44100, abs=4500)
    heard = np.abs(np.fft.rfft(mix.samples[:, -32050:-10000]))
    assert heard.argmax(axis=1).tolist() == [110, 110]  # 220 Hz in both channels


@pytest.mark.parametrize("changes", [1, 7, 100])
def test_a_song_may_change_its_rate_a_few_times(changes: int, decoded: Callable[[bytes], Mix]) -> None:
    slow = (changes + 1) // 2  # frames at half the rate, which last twice as long
    frames = 10 + changes + slow
    assert decoded(sounds.aac_changing_rate(changes)).length == pytest.approx(frames * 1024, rel=0.01, abs=50)


def test_a_song_that_keeps_changing_its_rate_is_refused(decoded: Callable[[bytes], Mix]) -> None:
    with pytest.raises(BadAudio, match="sample rate more than 100 times"):
        decoded(sounds.aac_changing_rate(101))


def test_hostile_bytes_are_refused_or_decoded(decoded: Callable[[bytes], Mix]) -> None:
    rng = random.Random(7)
    files = [sounds.song(extension, 0.2) for extension in sounds.CODECS] + [sounds.mov_in_an_order_of_its_own()]
    for data in files * 6:
        with_errors = bytearray(data[: rng.randrange(1, len(data)) if rng.random() < 0.3 else len(data)])
        for _ in range(rng.choice((1, 10, 100))):
            with_errors[rng.randrange(min(len(with_errors), rng.choice((100, 100_000))))] ^= 1 << rng.randrange(8)
        for look in (probed, decoded):
            try:
                look(bytes(with_errors))
            except BadAudio:
                continue


def test_faults_of_the_disk_are_not_the_songs() -> None:
    with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb", buffering=0) as out:
        decode(io.BytesIO(sounds.wav()), out)
