"""A song's identity, name and manifests."""

import tracemalloc
from collections.abc import Mapping
from dataclasses import asdict

from medley.job import read_job
from medley.separation import Computed, Separation, noted
from medley.song import MAX_NAME, Done, Song, clean_name, song_hash

AUDIO = "0" * 64


def as_redis(fields: Mapping[str, str | int | float]) -> dict[str, str]:
    """A record with these fields, as it is read back."""
    return {"status": "succeeded", **{name: str(value) for name, value in fields.items()}}


def test_the_hash_is_that_of_audio_and_separation() -> None:
    one = song_hash(AUDIO, Separation("htdemucs"))
    assert one == song_hash(AUDIO, Separation("htdemucs", "auto", 0, 0.25))
    assert one != song_hash(AUDIO, Separation("htdemucs_ft"))
    assert one != song_hash("1" * 64, Separation("htdemucs"))


def test_the_hash_is_what_it_was_when_the_model_was_all_there_was_to_choose() -> None:
    known = "c15ed4d2a1ea2b84aa243485e7b9dad168d2c5cba1a91afe9abff1ee94ab4e76"
    assert song_hash(AUDIO, Separation("htdemucs")) == known


def test_a_name_is_kept_but_for_what_cannot_be_shown() -> None:
    assert clean_name('AC/DC "Live"\r\nX-Evil: 1\x00 🎸') == 'AC/DC "Live" X-Evil: 1 🎸'
    assert clean_name("\ud800lone") == "lone"
    assert len(clean_name("x" * 10_000)) == MAX_NAME


def test_a_name_as_long_as_a_song_takes_no_memory() -> None:
    name = "x" * 5_000_000
    tracemalloc.start()
    clean_name(name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_manifests_read_back_and_unknown_fields_do_no_harm() -> None:
    song = Song("A", Separation("htdemucs", "fast", 2, 0.1), ("vocals.mp3",), 320, "mp3", 1, 2.0, 3.0)
    manifest = {**song.record(), "outputs": ["vocals.mp3"], "later": True}
    assert Song.read(manifest) == song
    about = {"parts": 2, "length": 9, "step": 5, "samplerate": 5, "stems": ["a"], "model": "m", "recipe": "r"}
    done = Done.read(about | {"precision": "exact", "device": "cpu", "segments": 2, "clipped": {"a": 1}, "later": 1})
    assert done.stems == ("a",)
    assert done.record()["clip:a"] == 1
    assert done.record()["step"] == 1.0
    computed = [{"part": 0, "precision": "exact", "device": "cpu"}]
    assert Done.read({**asdict(done), "computed": computed}).computed == (Computed(0, "exact", "cpu"),)


def test_a_record_reads_back_as_the_song_and_what_became_of_it() -> None:
    separation = Separation("htdemucs", "fast", 2, 0.1)
    song = Song("A", separation, ("vocals.mp3",), 320, "mp3", 1, 2.0, 3.0)
    computed = (Computed(0, "fast", "cuda"), Computed(7, "fast", "cpu"))
    done = Done(9, 9, 5, 5, ("a",), "htdemucs", "r", "fast", "cpu", 10, {}, computed)
    job = read_job("a" * 64, as_redis(song.record() | done.record()))
    assert (job.separation, job.model, job.computed) == (separation, "htdemucs", computed)


def test_what_was_stored_before_there_were_options_still_reads() -> None:
    manifest = Song("A", Separation("htdemucs"), ("vocals.mp3",), 320, "mp3", 1, 2.0, 3.0).record()
    for option in ("precision", "shifts", "overlap"):
        del manifest[option]
    assert Song.read({**manifest, "outputs": []}).separation == Separation("htdemucs")
    job = read_job("a" * 64, as_redis(manifest))
    assert (job.separation, job.computed) == (Separation("htdemucs"), ())


def test_a_record_of_which_only_the_end_is_left_reads() -> None:
    assert read_job("a" * 64, {"status": "canceled"}).model == ""


def test_how_a_song_goes_on_is_noted_where_that_is_otherwise_than_before() -> None:
    first = noted((), Computed(0, "fast", "cuda"))
    assert noted(first, Computed(4, "fast", "cuda")) == first
    assert noted(first, Computed(4, "fast", "cpu")) == (*first, Computed(4, "fast", "cpu"))
    assert noted(first, Computed(0, "exact", "cuda")) == (*first, Computed(0, "exact", "cuda"))
