"""Songs for tests, made on the spot: each function returns the bytes of a file, good or bad."""

import io
import struct
import wave
from collections.abc import Callable

import av
import numpy as np
from numpy.typing import NDArray

RATE = 44100
# FFmpeg's muxer, encoder and sample format by extension
CODECS = {
    "mp3": ("mp3", "libmp3lame", "s16p"),
    "flac": ("flac", "flac", "s16"),
    "ogg": ("ogg", "vorbis", "fltp"),
    "opus": ("ogg", "libopus", "s16"),
    "m4a": ("ipod", "aac", "fltp"),
    "aiff": ("aiff", "pcm_s16be", "s16"),
    "wma": ("asf", "wmav2", "fltp"),
    "mka": ("matroska", "flac", "s16"),
    "aac": ("adts", "aac", "fltp"),
    "ac3": ("ac3", "ac3", "fltp"),
    "tta": ("tta", "tta", "s16"),
    "wv": ("wv", "wavpack", "s16p"),
    "caf": ("caf", "pcm_s16le", "s16"),
    "w64": ("w64", "pcm_s16le", "s16"),
    "au": ("au", "pcm_s16be", "s16"),
    "ts": ("mpegts", "aac", "fltp"),
    "wav": ("wav", "pcm_s16le", "s16"),
}
OPTIONS = {"vorbis": {"strict": "experimental"}, "wmav2": {"b": "128000"}}
NUMBERS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.generic]]] = {
    "u8": lambda audio: np.rint(audio * 127 + 128).astype(np.uint8),
    "s16": lambda audio: np.rint(audio * 32767).astype(np.int16),
    "s32": lambda audio: np.rint(audio * 2.0**31).astype(np.int32),
    "flt": lambda audio: audio,
    "dbl": lambda audio: audio.astype(np.float64),
}
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 6: "5.1"}


def samples(seconds: float = 1.0, rate: int = RATE, channels: int = 2) -> NDArray[np.float32]:
    """Tones at half level, another one in each channel, (channels, n)."""
    t = np.arange(round(seconds * rate)) / rate
    tones = [0.5 * np.sin(2 * np.pi * 220 * (i + 1) * t) for i in range(channels)]
    return np.array(tones, np.float32).reshape(channels, -1)


def wav(audio: NDArray[np.float32] | None = None, rate: int = RATE) -> bytes:
    """16 bit."""
    audio = samples() if audio is None else audio
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(len(audio))
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.rint(audio.T * 32767).astype("<i2").tobytes())
    return file.getvalue()


def song(extension: str = "mp3", seconds: float = 1.0, rate: int = RATE, channels: int = 2, title: str = "") -> bytes:
    """Tones in any format of CODECS; Opus knows no 44.1 kHz."""
    rate = 48000 if extension == "opus" else rate
    muxer, codec, sample_format = CODECS[extension]
    audio = samples(seconds, rate, channels)
    return _encoded(muxer, codec, sample_format, audio, rate, title)


def _encoded(muxer: str, codec: str, kind: str, audio: NDArray[np.float32], rate: int, title: str = "") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream(codec, rate=rate, options=OPTIONS.get(codec, {}))
        stream.layout, stream.format = LAYOUTS[len(audio)], kind
        container.mux([*stream.encode(frame(audio, kind, rate)), *stream.encode(None)])
    return file.getvalue()


def frame(audio: NDArray[np.float32], kind: str, rate: int) -> "av.AudioFrame":
    """Sound as an encoder takes it, by FFmpeg's name of the kind of samples."""
    values = NUMBERS[kind.removesuffix("p")](audio)
    array = values if kind.endswith("p") else values.T.reshape(1, -1)
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), kind, LAYOUTS[len(audio)])
    made.rate, made.pts = rate, 0
    return made


# --- Songs that are unusual, and work ---------------------------------------------------------------------------------


def mono_8khz() -> bytes:
    return wav(samples(1.0, 8000, 1), 8000)


def surround_96khz() -> bytes:
    return _encoded("flac", "flac", "s16", samples(1.0, 96000, 6), 96000)


def silence() -> bytes:
    return wav(np.zeros((2, RATE), np.float32))


def tenth_of_a_second() -> bytes:
    return wav(samples(0.1))


def float_wav(audio: NDArray[np.float32], rate: int = RATE) -> bytes:
    """32-bit floats, whatever they are."""
    return riff(audio.T.astype("<f4").tobytes(), tag=3, bits=32, channels=len(audio), rate=rate)


def riff(data: bytes, *, tag: int, bits: int, channels: int, rate: int) -> bytes:
    """A wav of samples in any form; `tag` is 1 for whole numbers, 3 for floats."""
    step = bits // 8 * channels
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * step, step, bits)
    start = struct.pack("<4sI4s", b"RIFF", len(data) + 36, b"WAVE")
    return start + head + struct.pack("<4sI", b"data", len(data)) + data


def pcm(codec: str, kind: str, audio: NDArray[np.float32]) -> bytes:
    """A wav by FFmpeg's names of encoder and sample format."""
    return _encoded("wav", codec, kind, audio, RATE)


def wav_claiming_more() -> bytes:
    """A second of sound that its header says are hours."""
    return _resized(wav(), 2_000_000_000)


def wav_claiming_less() -> bytes:
    """A second of sound that its header says is a tenth."""
    return _resized(wav(), RATE * 4 // 10)


def _resized(data: bytes, size: int) -> bytes:
    return data[:4] + struct.pack("<I", size + 36) + data[8:40] + struct.pack("<I", size) + data[44:]


def truncated_mp3() -> bytes:
    """About half of a second, broken off within a frame."""
    data = song("mp3")
    return data[: len(data) // 2 + 7]


def mp3_broken_in_the_middle() -> bytes:
    """Two seconds of which a few frames are noise."""
    data = bytearray(song("mp3", 2.0))
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(1).bytes(2000)
    return bytes(data)


def mp3_changing_rate() -> bytes:
    """A second at 44.1 kHz in stereo, then one at 22.05 kHz in mono."""
    return song("mp3") + song("mp3", rate=22050, channels=1)


def aac_changing_rate(changes: int) -> bytes:
    """Frames at 44.1 kHz, and after each change one at 22.05 kHz or back at 44.1."""
    one, other = (_adts_frames(song("aac", rate=rate))[3] for rate in (RATE, RATE // 2))
    return one * 10 + b"".join((other, one)[i % 2] for i in range(changes))


def _adts_frames(data: bytes) -> list[bytes]:
    frames, at = [], 0
    while at < len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames.append(data[at : at + size])
        at += size
    return frames


def mp3_with_cover() -> bytes:
    """A song with a picture in its tags."""
    return _cover(image()) + song("mp3")[_id3_end(song("mp3")) :]


def flac_behind_a_large_cover() -> bytes:
    """With MP3's kind of tag, longer than FFmpeg looks."""
    return _cover(noise_bytes() * 100) + song("flac", title="Behind")


def aac_behind_a_large_cover() -> bytes:
    return _cover(noise_bytes() * 100) + song("aac")


def ogg_behind_a_large_cover() -> bytes:
    return _cover(noise_bytes() * 100) + song("ogg")


def _cover(picture: bytes) -> bytes:
    """An ID3v2 tag."""
    picture = b"\0image/png\0\3\0" + picture
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    size = len(frame)
    synchsafe = bytes((size >> shift) & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + synchsafe + frame


def _id3_end(data: bytes) -> int:
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte
    return 10 + size if data.startswith(b"ID3") else 0


def mov_in_an_order_of_its_own() -> bytes:
    """Three channels: centre, left, right, which FFmpeg calls a custom layout."""
    data = _encoded("mov", "pcm_s16le", "s16", samples(0.5, RATE, 3), RATE)
    at = data.index(b"chan") + 8
    return data[:at] + struct.pack(">I", 114 << 16 | 3) + data[at + 4 :]


def surround_of_its_own() -> bytes:
    """AC-3 of a centre and low frequencies, for which FFmpeg has no name."""
    file = io.BytesIO()
    with av.open(file, "w", format="ac3") as container:
        stream = container.add_stream("ac3", rate=RATE)
        stream.layout, stream.format = "FC+LFE", "fltp"
        frame = av.AudioFrame.from_ndarray(samples(1.0), "fltp", "FC+LFE")
        frame.rate, frame.pts = RATE, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def dsdiff() -> bytes:
    """DSD as SACDs are ripped: a second of silence."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack(">Q", len(data)) + data + b"\0" * (len(data) % 2)

    rate = struct.pack(">I", 64 * RATE)
    sound = chunk(b"FS  ", rate) + chunk(b"CHNL", b"\0\2SLFTSRGT") + chunk(b"CMPR", b"DSD \x0enot compressed\0")
    data = chunk(b"DSD ", b"\x69" * (64 * RATE // 8 * 2))
    return chunk(b"FRM8", b"DSD " + chunk(b"FVER", b"\1\5\0\0") + chunk(b"PROP", b"SND " + sound) + data)


# --- Files that are no songs ------------------------------------------------------------------------------------------


def empty() -> bytes:
    return b""


def no_seconds() -> bytes:
    return wav(np.zeros((2, 0), np.float32))


def noise_bytes() -> bytes:
    return np.random.default_rng(0).bytes(20_000)


def image() -> bytes:
    """A PNG."""
    return _video("image2pipe", "png", "rgb24", 1)


def video_without_audio() -> bytes:
    """An MP4."""
    return _video("mp4", "mpeg4", "yuv420p", 5)


def _video(muxer: str, codec: str, kind: str, frames: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, kind
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * i, np.uint8), "rgb24").reformat(format=kind)
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def m3u8(*entries: str) -> bytes:
    """A playlist naming `entries`, such as file: and http: addresses."""
    songs = "".join(f"#EXTINF:5,\n{entry}\n" for entry in entries)
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n{songs}#EXT-X-ENDLIST\n".encode()


def m3u(*entries: str) -> bytes:
    """A playlist of names alone."""
    return "\n".join((*entries, "")).encode()


def concat(*entries: str) -> bytes:
    """FFmpeg's own playlist."""
    return ("ffconcat version 1.0\n" + "".join(f"file '{entry}'\n" for entry in entries)).encode()


def mpd(*entries: str) -> bytes:
    """DASH's playlist."""
    urls = "".join(f"<Representation id='a' bandwidth='1'><BaseURL>{e}</BaseURL></Representation>" for e in entries)
    period = f"<Period><AdaptationSet mimeType='audio/mp4'>{urls}</AdaptationSet></Period>"
    start = '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
    profile = 'profiles="urn:mpeg:dash:profile:isoff-live:2011" mediaPresentationDuration="PT5S"'
    return f"{start} {profile}>{period}</MPD>".encode()


def pls(*entries: str) -> bytes:
    return ("[playlist]\n" + "".join(f"File{i}={e}\n" for i, e in enumerate(entries, 1))).encode()


PLAYLISTS: dict[str, Callable[..., bytes]] = {"m3u8": m3u8, "m3u": m3u, "concat": concat, "mpd": mpd, "pls": pls}

# By what they are: good ones are accepted, bad ones refused with 422.
GOOD: dict[str, Callable[[], bytes]] = {
    "8 kHz mono": mono_8khz,
    "96 kHz 5.1": surround_96khz,
    "silence": silence,
    "0.1 s": tenth_of_a_second,
    "a header claiming more": wav_claiming_more,
    "a header claiming less": wav_claiming_less,
    "a truncated mp3": truncated_mp3,
    "a mp3 broken in the middle": mp3_broken_in_the_middle,
    "a mp3 changing its rate": mp3_changing_rate,
    "a mp3 with a cover": mp3_with_cover,
    "channels in an order of their own": mov_in_an_order_of_its_own,
    "a flac behind a large cover": flac_behind_a_large_cover,
    "an aac behind a large cover": aac_behind_a_large_cover,
    "an ogg behind a large cover": ogg_behind_a_large_cover,
    "channels that have no name together": surround_of_its_own,
    "DSD of a SACD": dsdiff,
}
BAD: dict[str, Callable[[], bytes]] = {
    "empty": empty,
    "0 seconds": no_seconds,
    "noise": noise_bytes,
    "an image": image,
    "video without audio": video_without_audio,
    **{
        f"a playlist, {name}": (lambda make=make: make("file:///etc/hostname", "http://127.0.0.1:9/a.mp3"))
        for name, make in PLAYLISTS.items()
    },
}
