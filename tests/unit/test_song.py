"""A song's identity, name and manifests."""

from medley.song import MAX_NAME, Done, Song, clean_name, song_hash

AUDIO = "0" * 64


def test_the_hash_is_that_of_audio_and_separation() -> None:
    one = song_hash(AUDIO, {"model": "htdemucs"})
    assert len(one) == 64
    assert one == song_hash(AUDIO, {"model": "htdemucs"})
    assert one != song_hash(AUDIO, {"model": "htdemucs_ft"})
    assert one != song_hash("1" * 64, {"model": "htdemucs"})


def test_the_order_of_options_does_not_matter() -> None:
    assert song_hash(AUDIO, {"a": 1, "b": 2}) == song_hash(AUDIO, {"b": 2, "a": 1})


def test_a_name_is_kept_but_for_what_cannot_be_shown() -> None:
    assert clean_name('AC/DC "Live"\r\nX-Evil: 1\x00 🎸') == 'AC/DC "Live" X-Evil: 1 🎸'
    assert clean_name("\ud800lone") == "lone"
    assert len(clean_name("x" * 10_000)) == MAX_NAME


def test_manifests_read_back_and_unknown_fields_do_no_harm() -> None:
    song = Song("A", "htdemucs", ("vocals.mp3",), 320, "mp3", 1, 2.0, 3.0)
    manifest = {**song.record(), "outputs": ["vocals.mp3"], "later": True}
    assert Song.read(manifest) == song
    about = {"parts": 2, "length": 9, "step": 5, "samplerate": 5, "stems": ["a"], "model": "m", "recipe": "r"}
    done = Done.read(about | {"precision": "exact", "device": "cpu", "segments": 2, "clipped": {"a": 1}, "later": 1})
    assert done.stems == ("a",)
    assert done.record()["clip:a"] == 1
    assert done.record()["step"] == 1.0
