"""The table of what clients send by mistake or in bad faith, and of what is unusual but a song."""

import json
from dataclasses import dataclass

from tests import sounds
from tests.e2e.senders import (
    FORM,
    SOUND,
    Send,
    broken_chunks,
    callback,
    form,
    in_chunks,
    named,
    nested,
    option,
    path,
    promised,
    raw,
    sent,
)
from tests.e2e.wire import API, as_form, ask, text

LIMIT = 3_000_000  # bytes of a song
SECONDS = 60  # of a song
MIB = 1 << 20
NOBODY = "a" * 64  # the hash of no song


@dataclass(frozen=True)
class Refused:
    """What is sent, to the gateway or to a function's own port, and how it is refused."""

    send: Send
    status: int
    problem: str
    words: str = ""  # that the detail has
    at: str = ""  # the function


@dataclass(frozen=True)
class Works:
    """What is sent, how long its stems are in seconds of sound, to within a frame, and how a download is named."""

    send: Send
    seconds: float
    name: str = "song"
    within: float = 0.0


def bad_request(send: Send, words: str, at: str = "") -> Refused:
    return Refused(send, 400, "bad-request", words, at)


def bad_option(send: Send, words: str) -> Refused:
    return Refused(send, 422, "bad-option", words)


def bad_audio(send: Send, words: str) -> Refused:
    return Refused(send, 422, "bad-audio", words)


def not_found(send: Send, words: str) -> Refused:
    return Refused(send, 404, "not-found", words)


def not_allowed(send: Send) -> Refused:
    return Refused(send, 405, "method-not-allowed")


def too_large(send: Send, at: str = "") -> Refused:
    return Refused(send, 413, "too-large", str(LIMIT), at)


REFUSED: dict[str, Refused] = {
    # Bodies that cannot be read
    "not base64": bad_request(sent({"mp3": "%%%"}), "not base64"),
    "base64 without its padding": bad_request(sent({"mp3": "abc"}), "not base64"),
    "base64 of letters beyond ASCII": bad_request(sent({"mp3": "é" * 8}), "not base64"),
    "not JSON": bad_request(raw(b'{"mp3"', "application/json"), "not JSON"),
    "nothing as JSON": bad_request(raw(b"", "application/json"), "not JSON"),
    "JSON in UTF-16": bad_request(raw('{"mp3": ""}'.encode("utf-16"), "application/json"), "not JSON"),
    "JSON that is a list": bad_request(sent([text(SOUND)]), "object"),
    "JSON that is a text": bad_request(sent(text(SOUND)), "object"),
    "JSON that is null": bad_request(sent(None), "object"),
    "JSON without mp3": bad_request(sent({"song_name": "x"}), '"mp3"'),
    "JSON with what is no number": bad_request(callback("http://x/", float("nan")), "NaN"),
    "JSON with an endless number": bad_request(raw(b'{"mp3": ' + b"1" * 9999 + b"}", "application/json"), "not JSON"),
    "JSON nested deeply": bad_request(raw(nested(9_000), "application/json"), "deep"),
    "JSON of a million lists": bad_request(raw(nested(1_000_000), "application/json"), "members"),
    "JSON nested as deeply as Python can read": bad_request(raw(nested(900), "application/json"), "deep"),
    "a form without a file": bad_request(form(song_name="x"), '"file"'),
    "a form whose file is a text": bad_request(form(file="x"), '"file"'),
    "a form without a boundary": bad_request(raw(SOUND, "multipart/form-data"), '"file"'),
    "a form of something else": bad_request(raw(SOUND, "multipart/form-data; boundary=x"), '"file"'),
    "an unknown content type": Refused(raw(SOUND, "text/plain"), 415, "unsupported-media", "audio/*"),
    "no content type": Refused(lambda port: ask(port, "POST", f"{API}/separate", SOUND), 415, "unsupported-media"),
    # Fields of a wrong type
    "mp3 as a number": bad_request(sent({"mp3": 7}), '"mp3"'),
    "mp3 as null": bad_request(sent({"mp3": None}), '"mp3"'),
    "mp3 as an object": bad_request(sent({"mp3": {}}), '"mp3"'),
    "song_name as a number": bad_request(option(song_name=7), '"song_name"'),
    "song_name as a list": bad_request(option(song_name=["x"]), '"song_name"'),
    "model as a list": bad_option(option(model=["htdemucs"]), '"model"'),
    "model as a number": bad_option(option(model=1), '"model"'),
    "model as false": bad_option(option(model=False), '"model"'),
    "stems as a number": bad_option(option(stems=4), '"stems"'),
    "stems as an object": bad_option(option(stems={"drums": True}), '"stems"'),
    "stems as a list of numbers": bad_option(option(stems=[1]), '"stems"'),
    "format as a list": bad_option(option(format=["mp3"]), '"format"'),
    "format as a number": bad_option(option(format=3), '"format"'),
    "bitrate as a list": bad_option(option(bitrate=[320]), '"bitrate"'),
    "bitrate as true": bad_option(option(bitrate=True), '"bitrate"'),
    "bitrate as a word": bad_option(option(bitrate="high"), '"bitrate"'),
    "precision as a number": bad_option(option(precision=16), '"precision"'),
    "precision as a list": bad_option(option(precision=["exact"]), '"precision"'),
    "shifts as true": bad_option(option(shifts=True), '"shifts"'),
    "shifts as a list": bad_option(option(shifts=[1]), '"shifts"'),
    "shifts as a fraction": bad_option(option(shifts=1.5), '"shifts"'),
    "shifts as a word": bad_option(form(file=SOUND, shifts="many"), '"shifts"'),
    "overlap as false": bad_option(option(overlap=False), '"overlap"'),
    "overlap as an object": bad_option(option(overlap={"of": 0.25}), '"overlap"'),
    "overlap as per cent": bad_option(form(file=SOUND, overlap="25%"), '"overlap"'),
    "overlap that is no number": bad_option(raw(SOUND, query="?overlap=nan"), '"overlap"'),
    "callback as a number": bad_option(option(callback=7), '"callback"'),
    "callback as a list": bad_option(option(callback=["http://x/"]), '"callback"'),
    "callback without url": bad_option(option(callback={"data": 1}), '"url"'),
    "callback with a number as url": bad_option(callback(80), '"url"'),
    # Options that are not offered
    "an unknown model": bad_option(option(model="nosuch"), "demucs_unittest"),
    "a model that is not served": bad_option(option(model="mdx_extra"), "demucs_unittest"),
    "a model of half a character": bad_option(option(model="\ud800"), "demucs_unittest"),
    "an unknown precision": bad_option(option(precision="float16"), "auto, exact, fast"),
    "a precision in capitals": bad_option(raw(SOUND, query="?precision=EXACT"), "auto, exact, fast"),
    "too many shifts": bad_option(option(shifts=11), "0 to 10"),
    "less than no shifts": bad_option(raw(SOUND, query="?shifts=-1"), "0 to 10"),
    "shifts without end": bad_option(option(shifts=10**400), "0 to 10"),
    "half of each segment as overlap": bad_option(option(overlap=0.5), "0 to 0.45"),
    "less than no overlap": bad_option(form(file=SOUND, overlap="-0.1"), "0 to 0.45"),
    "an endless overlap": bad_option(raw(SOUND, query="?overlap=1e999"), "0 to 0.45"),
    "an unknown format": bad_option(option(format="ogg"), "mp3, wav, flac"),
    "an unknown bitrate": bad_option(option(bitrate=321), "320"),
    "an unknown stem": bad_option(option(stems=["vocals", "guitar"]), "drums, bass"),
    "only commas as stems": bad_option(option(stems=","), "drums, bass"),
    "an unknown model in the query": bad_option(raw(SOUND, query="?model=nosuch"), "demucs_unittest"),
    "an unknown format in a form": bad_option(form(file=SOUND, format="ogg"), "mp3, wav, flac"),
    "a callback of another scheme": bad_option(callback("ftp://example.com/"), "http"),
    "a callback to a file": bad_option(callback("file:///etc/passwd"), "http"),
    "a callback without a scheme": bad_option(callback("example.com"), "http"),
    "a callback without a host": bad_option(callback("http:///path"), "host"),
    "a callback with a newline": bad_option(callback("http://example.com/\r\nX: y"), "percent-encode"),
    "a callback to a port beyond all": bad_option(callback("http://example.com:99999/"), "http"),
    "a callback with half a character": bad_option(callback("http://example.com/\ud800"), "percent-encode"),
    "a callback to a path in French": bad_option(callback("http://example.com/caf\u00e9"), "percent-encode"),
    "a callback as long as a book": bad_option(callback("http://example.com/" + "x" * 9000), "longer"),
    "a callback with data as long as a book": bad_option(callback("http://x/", "x" * 70_000), "65536"),
    "a callback in a form that is half JSON": bad_option(form(file=SOUND, callback='{"url'), "JSON"),
    "a callback in a form nested deeply": bad_option(form(file=SOUND, callback='{"url":' + "[" * 100_000), "deep"),
    "a callback in the query that is no URL": bad_option(raw(SOUND, query="?callback=x"), "http"),
    # Audio that is none
    "nothing": bad_audio(raw(b""), "empty"),
    "nothing in base64": bad_audio(sent({"mp3": ""}), "empty"),
    "nothing in a form": bad_audio(form(file=b""), "empty"),
    "0 seconds": bad_audio(raw(sounds.no_seconds()), "0 seconds"),
    "noise": bad_audio(raw(sounds.noise_bytes()), "known here"),
    "an image": bad_audio(raw(sounds.image()), "an image"),
    "an image in a form": bad_audio(form(file=sounds.image(), song_name="song.mp3"), "an image"),
    "video without audio": bad_audio(raw(sounds.video_without_audio(), "video/mp4"), "no sound"),
    "a page": bad_audio(raw(b"<!DOCTYPE html><html></html>"), "a document"),
    "a song longer than the limit": bad_audio(
        raw(sounds.wav(sounds.samples(SECONDS + 2, 8000, 1), 8000)), "60 seconds"
    ),
    # Paths
    "a bad hash": not_found(path("GET", "songs/xyz"), "hexadecimal"),
    "a hash in capitals": not_found(path("GET", f"songs/{'A' * 64}"), "hexadecimal"),
    "a hash nobody has": not_found(path("GET", f"songs/{NOBODY}"), "no song"),
    "a hash as long as a book": not_found(path("GET", f"songs/{'a' * 9000}"), "hexadecimal"),
    "a bad hash of a track": not_found(path("GET", "track/xyz/vocals"), "hexadecimal"),
    "a track of no song": not_found(path("GET", f"track/{NOBODY}/vocals"), "no song"),
    "a part of no song": not_found(path("GET", f"parts/{NOBODY}/vocals/0"), "no song"),
    "removing a bad hash": not_found(path("DELETE", "remove/xyz"), "hexadecimal"),
    "removing a hash nobody has": not_found(path("DELETE", f"remove/{NOBODY}"), "no song"),
    "removing a track of no song": not_found(path("DELETE", f"remove/{NOBODY}/vocals"), "no song"),
    "a callback of no song": not_found(path("POST", f"songs/{NOBODY}/callbacks/x"), "no such callback"),
    "a hash of dots": not_found(path("GET", "track/%2e%2e/%2e%2e"), "hexadecimal"),
    "dots that lead elsewhere": not_found(path("GET", f"track/../songs/{NOBODY}"), "nothing at"),
    "a NUL in a hash": not_found(path("GET", f"songs/{'a' * 63}%00"), "hexadecimal"),
    "a hash that is no UTF-8": not_found(path("GET", "songs/%ff%fe"), "hexadecimal"),
    "more than a path has": not_found(path("GET", f"songs/{NOBODY}/callbacks/x/y"), "nothing at"),
    "an unknown route": not_found(path("GET", "nosuch"), "nothing at"),
    # Methods
    "GET of an upload": not_allowed(path("GET", "separate")),
    "PUT of an upload": not_allowed(path("PUT", "separate", SOUND)),
    "DELETE of the queue": not_allowed(path("DELETE", "queue")),
    "POST to the queue": not_allowed(path("POST", "queue")),
    "DELETE of a song's state": not_allowed(path("DELETE", f"songs/{NOBODY}")),
    "GET of a callback": not_allowed(path("GET", f"songs/{NOBODY}/callbacks/x")),
    "POST to a track": not_allowed(path("POST", f"track/{NOBODY}/vocals")),
    "GET of a removal": not_allowed(path("GET", f"remove/{NOBODY}")),
    "POST to a removal": not_allowed(path("POST", f"remove/{NOBODY}/vocals")),
    # Bodies larger than the limit
    "one byte too many": too_large(raw(bytes(LIMIT + 1))),
    "one byte too many in a form": too_large(form(file=bytes(LIMIT + 1))),
    "one byte too many in base64": too_large(sent({"mp3": text(bytes(LIMIT + 1))})),
    "a body too large": too_large(raw(bytes(64 * MIB))),
    "a form too large": too_large(form(file=bytes(64 * MIB))),
    "JSON too large": too_large(sent({"mp3": "A" * (64 * MIB)})),
    "a body of no length too large": too_large(in_chunks(*[bytes(MIB)] * 64)),
    "a form of no length too large": too_large(in_chunks(as_form(file=bytes(64 * MIB))[0], kind=FORM)),
    "JSON of no length too large": too_large(in_chunks(b'{"mp3": "', *[b"A" * MIB] * 64, kind="application/json")),
    "a body too large, read after it was sent": too_large(in_chunks(*[bytes(MIB)] * 5, in_turn=True)),
    "a body too large, read after it was sent, to upload": too_large(
        in_chunks(*[bytes(MIB)] * 5, in_turn=True), "upload"
    ),
    "a body announced too large": too_large(promised(1_000_000_000)),
    "a body announced too large, to upload": too_large(promised(1_000_000_000), "upload"),
    # Bodies that break off; the gateway has nobody left to answer to
    "a body shorter than it says": bad_request(promised(2 * len(SOUND), SOUND), "before", "upload"),
    "JSON shorter than it says": bad_request(
        promised(9000, json.dumps({"mp3": text(SOUND)}).encode()[:8000], kind="application/json"), "before", "upload"
    ),
    "a form shorter than it says": bad_request(
        promised(2 * len(SOUND), as_form(file=SOUND)[0], kind=FORM), "before", "upload"
    ),
    "a body of chunks that breaks off": bad_request(broken_chunks(b"5\r\nhello\r\n5\r\nwor"), "broken", "upload"),
    "a body of broken chunks": bad_request(broken_chunks(b"zz\r\nhello\r\n"), "broken", "upload"),
}

WORKS: dict[str, Works] = {
    "8 kHz mono": Works(raw(sounds.mono_8khz()), 1.0),
    "96 kHz 5.1": Works(raw(sounds.surround_96khz()), 1.0),
    "silence": Works(raw(sounds.silence()), 1.0),
    "0.1 s": Works(raw(sounds.tenth_of_a_second()), 0.1),
    "a header claiming more": Works(raw(sounds.wav_claiming_more()), 1.0),
    "a header claiming less": Works(raw(sounds.wav_claiming_less()), 0.1),
    "a truncated mp3": Works(raw(sounds.truncated_mp3()), 0.5, within=0.1),
    "a mp3 broken in the middle": Works(raw(sounds.mp3_broken_in_the_middle()), 2.0, within=0.5),
    "a mp3 with a cover": Works(raw(sounds.mp3_with_cover()), 1.0, within=0.1),
    "a song with a wrong content type": Works(raw(sounds.song("ogg"), "audio/wav"), 1.0, within=0.1),
    "a song of an unknown type": Works(raw(sounds.song("m4a"), "application/octet-stream"), 1.0, within=0.1),
    "a compressed body that is none": Works(
        lambda port: ask(
            port, "POST", f"{API}/separate", sounds.song("flac"), Content_Type="audio/flac", Content_Encoding="gzip"
        ),
        1.0,
    ),
    "a song of no length": Works(in_chunks(sounds.song("wav", 0.3)), 0.3),
    "base64 with line breaks": Works(sent({"mp3": "\n".join(text(sounds.wav(sounds.samples(0.2))))}), 0.2),
    "options of null": Works(
        sent(
            {
                "mp3": text(sounds.wav(sounds.samples(0.4))),
                **dict.fromkeys(("song_name", "model", "stems", "format", "bitrate", "callback")),
                **dict.fromkeys(("precision", "shifts", "overlap")),
            }
        ),
        0.4,
    ),
    "options at their bounds": Works(
        raw(sounds.wav(sounds.samples(0.5)), query="?precision=exact&shifts=10&overlap=0.45"), 0.5
    ),
    "no overlap": Works(
        form(file=sounds.wav(sounds.samples(0.6)), precision="fast", shifts="0", overlap="0"), 0.6, "file"
    ),
    "a name with slashes": Works(named("AC/DC: a\\b/../c", 1), 0.11, "AC-DC: a-b-..-c"),
    "a name of dots": Works(named("../../etc/passwd", 2), 0.12, "..-..-etc-passwd"),
    "a name with quotes": Works(named("""a "b" 'c'; d=e""", 3), 0.13, """a "b" 'c'; d=e"""),
    "a name with newlines": Works(named("a\r\nX-Evil: b\u2028c\0d", 4), 0.14, "a X-Evil: b c d"),
    "a name with emoji": Works(named("Ünïcode 🎵 音楽", 5), 0.15, "Ünïcode 🎵 音楽"),
    "a name with half a character": Works(named("a\ud800b", 6), 0.16, "a b"),
    "a name with per cent": Works(named("100%20 %s {}", 7), 0.17, "100%20 %s {}"),
    "a name of spaces": Works(named(" \n\t ", 8), 0.18),
    "a name of 10,000 characters": Works(named("🎵" * 10_000, 9), 0.19, "🎵" * 200),
    "a name of 10,000 characters in the query": Works(
        raw(sounds.wav(sounds.samples(0.2, channels=1)), query="?song_name=" + "n" * 10_000), 0.2, "n" * 200
    ),
    "a name of 10,000 characters in a form": Works(
        form(file=sounds.wav(sounds.samples(0.21, channels=1)), song_name="n" * 10_000), 0.21, "n" * 200
    ),
}
