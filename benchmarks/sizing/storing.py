"""How many bytes a song takes: real music by the real model, whose weights must be here."""

from collections import Counter
from typing import Any

from benchmarks.report import Row
from benchmarks.service import RATE
from benchmarks.sizing import songs
from benchmarks.sizing.backbone import Backbone
from medley import names
from medley.models import MODELS
from tests.manifests.rendering import ROOT

MODEL = "htdemucs"
MUSIC = ROOT / "examples" / "slow_motion_dream.mp3"
CD = RATE * 4  # bytes a second of 16-bit stereo


def measure(backbone: Backbone) -> dict[str, Any]:
    """Bytes for a second of audio, by kind of object, all stems together."""
    before, backbone.environment["MODELS"] = backbone.environment["MODELS"], MODEL
    try:
        (name,) = songs.upload(backbone, MUSIC.read_bytes(), content_type="audio/mpeg")
        songs.separate(backbone, name)
    finally:
        backbone.environment["MODELS"] = before
    sizes: Counter[str] = Counter()
    for stat in backbone.objects.list(f"{name}/"):
        sizes[_kind(stat.name)] += stat.size
    record = backbone.redis.hgetall(names.song_key(name))
    found = {kind: round(size / float(record["seconds"])) for kind, size in sizes.items()}
    stem = found["parts"] / len(MODELS[MODEL].stems)
    return {"bytes_a_second": found, "stem_by_cd": round(stem / CD, 2), "step_s": float(record["step"])}


def _kind(name: str) -> str:
    _, _, file, *below = name.split("/")
    if below:
        return "parts"
    return "original" if file.startswith("original.") else "records" if file.endswith(".json") else "MP3 files"


def rows(found: dict[str, Any]) -> list[Row]:
    sizes = ", ".join(f"{kind} {size / 1000:.0f}" for kind, size in found["bytes_a_second"].items())
    return [
        ("stored for a second of music, kB", sizes),
        ("a stem's parts / the same as CD audio", f"{found['stem_by_cd']:.2f}"),
    ]
