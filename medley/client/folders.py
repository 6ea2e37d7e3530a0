"""Names on this disk for songs that may be called anything."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

MAX_BYTES = 150  # of a name in UTF-8; file systems take 255, and some is added to it
MARKER = "song.json"  # in a song's folder: whose stems they are
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # names that Windows keeps to itself


def safe_name(name: str) -> str:
    """`name` as a file or folder name that works everywhere; readable, never empty, never a path."""
    text = unicodedata.normalize("NFC", name.encode(errors="replace").decode())
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c != "\u200d" else c for c in text)
    text = " ".join(re.sub(r'[/\\:*?"<>|]', "_", text).split()).strip(". ")
    stem, dot, extension = text.rpartition(".")
    if dot and len(extension) < 10:
        text = _cut(stem, MAX_BYTES - len(extension.encode()) - 1) + dot + extension
    text = _cut(text, MAX_BYTES).strip(". ") or "song"
    return f"_{text}" if _RESERVED.match(text) else text


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes, and no half character."""
    return text.encode()[:limit].decode(errors="ignore")


def song_folder(parent: Path, name: str, song: str, about: dict[str, Any]) -> Path:
    """A folder for the stems of the song with hash `song`: the same one each time, and never another song's.

    It has the song's name, and the beginning of its hash as well where another song of that name came first.
    """
    plain = parent / safe_name(name)
    folder = plain if _is_free(plain, song) else parent / f"{plain.name}-{song[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(json.dumps({"hash": song, **about}, indent=2) + "\n", encoding="utf-8")
    return folder


def _is_free(folder: Path, song: str) -> bool:
    """Whether a folder is not there yet, is empty, or is this song's."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    try:
        known = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return not any(folder.iterdir())
    except ValueError:
        return False
    return isinstance(known, dict) and known.get("hash") == song


def free_name(folder: Path, name: str) -> Path:
    """A path in `folder` that does not exist yet: `name`, or with a number."""
    path, number = folder / name, 2
    while path.exists():
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
        number += 1
    return path
