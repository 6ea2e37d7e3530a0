"""What a client may ask for, checked: how to separate, what to render, whom to call back."""

import math
import re
import reprlib
import time
import uuid
from dataclasses import dataclass
from typing import Any

from functions.upload.body import read_json
from medley.callback import Callback, check_callback
from medley.errors import BadOption
from medley.models import ALIASES, MODELS
from medley.output import BITRATES, DEFAULT_BITRATE, FORMATS, Output
from medley.separation import MOST_OVERLAP, MOST_SHIFTS, PRECISIONS, Separation
from medley.settings import settings

SHOWN = reprlib.Repr()
SHOWN.maxstring = SHOWN.maxother = 80
_NUMBER = re.compile(r"[0-9.eE+-]{1,30}")  # float() takes "nan", "1_0" and other alphabets' digits too


@dataclass(frozen=True)
class Options:
    """Checked. The separation is part of a song's identity; the rest says what is rendered before the callback."""

    separation: Separation
    outputs: tuple[Output, ...]
    bitrate: int
    callback: Callback | None


def check(asked: dict[str, Any]) -> Options:
    """Raises BadOption that names what is offered."""
    separation = _separation(asked)
    format_ = _one_of("format", asked.get("format"), FORMATS, "mp3")
    bitrate = _bitrate(asked.get("bitrate"))
    stems = _stems(asked.get("stems"), MODELS[separation.model].stems)
    outputs = tuple(Output(stem, format_, bitrate if format_ == "mp3" else 0) for stem in stems)
    return Options(separation, outputs, bitrate, _callback(asked.get("callback")))


def _separation(asked: dict[str, Any]) -> Separation:
    return Separation(
        model=_one_of("model", asked.get("model"), settings().models, settings().models[0]),
        precision=_one_of("precision", asked.get("precision"), PRECISIONS, Separation.precision),
        shifts=_shifts(asked.get("shifts")),
        overlap=_overlap(asked.get("overlap")),
    )


def _one_of(option: str, value: Any, offered: tuple[str, ...], default: str) -> str:
    if value is None or value == "":
        return default
    if value not in offered:
        raise BadOption(f'"{option}" is {_shown(value)}; offered are {", ".join(offered)}.', offered=list(offered))
    return str(value)


def _shifts(value: Any) -> int:
    if value is None or value == "":
        return Separation.shifts
    shifts = _number(value)
    if shifts not in range(MOST_SHIFTS + 1):
        offered = f"whole numbers from 0 to {MOST_SHIFTS}"
        raise BadOption(f'"shifts" is {_shown(value)}; offered are {offered}.', minimum=0, maximum=MOST_SHIFTS)
    return int(shifts)


def _overlap(value: Any) -> float:
    if value is None or value == "":
        return Separation.overlap
    overlap = _number(value)
    if not 0 <= overlap <= MOST_OVERLAP:
        offered = f"fractions from 0 to {MOST_OVERLAP}"
        raise BadOption(f'"overlap" is {_shown(value)}; offered are {offered}.', minimum=0, maximum=MOST_OVERLAP)
    return overlap


def _number(value: Any) -> float:
    """A number of JSON, or the same as text in a form or a query; what is none of these is not a number (NaN)."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value) + 0.0  # so that -0 is 0, and the same song
    except (ValueError, OverflowError):
        return math.nan


def _bitrate(value: Any) -> int:
    if value is None or value == "":
        return DEFAULT_BITRATE
    bitrate = _number(value)
    if bitrate not in BITRATES:
        known = ", ".join(map(str, BITRATES))
        raise BadOption(f'"bitrate" is {_shown(value)}; offered are {known} kbit/s.', offered=list(BITRATES))
    return int(bitrate)


def _stems(value: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    """A subset of the model's stems, from a list or a text with commas; nothing means all."""
    if value is None or value in ("", []):
        return known
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise BadOption('"stems" must be a list of stems.', offered=list(known))
    asked = {ALIASES.get(item, item) for item in items}
    if not asked <= set(known):
        raise BadOption(f'"stems" is {_shown(value)}; this model gives {", ".join(known)}.', offered=list(known))
    return tuple(stem for stem in known if stem in asked)


def _callback(value: Any) -> Callback | None:
    """From JSON an object; from a form or a query its JSON, or just the URL."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = read_json(value) if value.lstrip().startswith("{") else {"url": value}
        except ValueError as error:
            raise BadOption(f'"callback" is neither a URL nor JSON: {error}') from None
    url, data, has_data = check_callback(value)
    return Callback(uuid.uuid4().hex, url, data, has_data, created=time.time())


def _shown(value: Any) -> str:
    """What the client said, cut to what fits an answer."""
    return SHOWN.repr(value)[:80]
