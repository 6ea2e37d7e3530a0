"""Every setting, typed, read once from the environment; all that are missing or wrong are named at once."""

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from medley.models import MODELS
from medley.separation import PRECISIONS


class BadSettings(Exception):
    """Settings are missing or wrong; the message names them all."""


@dataclass(frozen=True)
class Settings:
    """One field a setting; its environment variable has the same name in capitals."""

    # Where this process listens
    host: str = "0.0.0.0"
    port: int = 8080
    threads: int = 16  # requests at a time

    # Where the parts of the backbone are
    redis_url: str = ""
    s3_endpoint: str = ""  # http://host:port or https://host
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_bucket: str = "songs"
    s3_region: str = "us-east-1"
    broker_url: str = ""  # the Broker's ingress; without it events are left to the sweep
    broker_timeout: float = 5.0  # s, for one event

    # upload
    max_bytes: int = 200_000_000  # of one song
    max_seconds: float = 7200.0  # of audio
    max_bytes_in_flight: int = 1_000_000_000  # of all bodies that one process reads at a time
    max_queue: int = 1000  # songs waiting
    models: tuple[str, ...] = ("htdemucs",)  # those served; the first is the default

    # separate
    device: str = "auto"  # auto, cpu, cuda
    precision: str = "auto"  # exact, fast (16 and 8 bits), auto: fast where the hardware has it; a song's comes first
    weights_dir: str = ""  # empty: ~/.cache/medley
    time_limit: float = 600.0  # s, of one request (Knative's timeoutSeconds)
    time_margin: float = 60.0  # s before the limit at which a song is given back
    lease_seconds: float = 30.0
    lease_renew_seconds: float = 10.0
    max_attempts: int = 3  # without a new part
    max_workers: int = 1  # that can work at a time: the sweep announces no more waiting songs

    # callback
    callback_secret: str = ""  # whsec_...: signs callbacks (Standard Webhooks)
    callback_allow: tuple[str, ...] = ()  # "any", or hosts and networks allowed beside public addresses
    callback_timeout: float = 15.0  # s, for one attempt
    callback_schedule: tuple[float, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)  # s after it was due

    # sweep
    grace_seconds: float = 900.0  # how old what looks lost must be before it is put right
    sweep_page: int = 2000  # objects looked at by one sweep
    keep_days: float = 0.0  # songs older than this are removed; 0: kept
    keep_canceled_seconds: float = 86400.0  # how long a removed song is remembered

    # logs
    log_level: str = "info"  # debug, info, error
    log_length: int = 10_000  # lines kept in Redis


LOG_LEVELS = ("debug", "info", "error")
CHOICES = {"device": ("auto", "cpu", "cuda"), "precision": PRECISIONS, "log_level": LOG_LEVELS}
SCHEMES = {"redis_url": ("redis", "rediss"), "s3_endpoint": ("http", "https"), "broker_url": ("http", "https")}
ABOVE_0 = (  # at 0 nothing would be done, or all of it at once or for ever
    "threads", "broker_timeout", "max_bytes", "max_seconds", "max_bytes_in_flight", "time_limit", "lease_seconds",
    "lease_renew_seconds", "max_attempts", "max_workers", "callback_timeout", "sweep_page", "log_length",
)  # fmt: skip
STORES = ("redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key")


@cache
def settings() -> Settings:
    """The settings of this process."""
    return read(os.environ)


def require(*names: str) -> Settings:
    """The settings of this process, of which those named must be set.

    Raises BadSettings that names all which are missing.
    """
    values = settings()
    missing = [name.upper() for name in names if not getattr(values, name)]
    if missing:
        raise BadSettings(f"missing settings: {', '.join(missing)}")
    return values


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables; those that are not set keep their defaults."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for field in fields(Settings):
        text = environment.get(field.name.upper(), "").strip()
        if not text:
            continue
        try:
            values[field.name] = _parse(text, field.default)
        except ValueError:
            wrong.append(f"{field.name.upper()}={text!r} is not {_KINDS[type(field.default)]}")
    wrong += _inconsistencies(Settings(**values))
    if wrong:
        raise BadSettings("wrong settings: " + "; ".join(wrong))
    return Settings(**values)


_KINDS = {int: "a whole number", float: "a number", tuple: "a list of numbers", str: "text"}


def _parse(text: str, default: object) -> object:
    """`text` as the type of `default`. Raises ValueError."""
    match default:
        case int():
            return int(text)
        case float():
            return float(text)
        case tuple():
            items = [item.strip() for item in text.split(",") if item.strip()]
            return (
                tuple(float(item) for item in items)
                if default and isinstance(default[0], int | float)
                else tuple(items)
            )
        case _:
            return text


def _inconsistencies(values: Settings) -> Iterable[str]:
    """What is wrong with settings that each can be read."""
    for name, schemes in SCHEMES.items():
        url = getattr(values, name)
        if url and not _is_url(url, schemes):
            yield f"{name.upper()} is no URL of {' or '.join(schemes)}"
    if _is_url(values.s3_endpoint, SCHEMES["s3_endpoint"]) and _has_more(values.s3_endpoint):
        yield "S3_ENDPOINT is more than the address of a server; bucket and keys have settings of their own"
    unknown = [name for name in values.models if name not in MODELS]
    if unknown:
        yield f"MODELS names {', '.join(unknown)}; known are {', '.join(MODELS)}"
    for name, offered in CHOICES.items():
        if getattr(values, name) not in offered:
            yield f"{name.upper()}={getattr(values, name)!r} is none of {', '.join(offered)}"
    yield from _bad_numbers(values)
    for name in ("models", "callback_schedule"):
        if not getattr(values, name):
            yield f"{name.upper()} names none"
    if values.callback_secret and not _is_secret(values.callback_secret):
        yield "CALLBACK_SECRET is not whsec_ and base64"
    if values.time_limit <= values.time_margin:
        yield "TIME_LIMIT is not above TIME_MARGIN"
    if values.lease_seconds <= values.lease_renew_seconds:
        yield "LEASE_SECONDS is not above LEASE_RENEW_SECONDS"


def _bad_numbers(values: Settings) -> Iterable[str]:
    for name, value in vars(values).items():
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, int | float) and not 0 <= number < float("inf") for number in numbers):
            yield f"{name.upper()} is not a number of 0 or more"
        elif name in ABOVE_0 and not value:
            yield f"{name.upper()} is not above 0"


def _is_url(text: str, schemes: Iterable[str]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without their other end, a port that is no number
        return False


def _has_more(url: str) -> bool:
    """Whether it says more than where a server is: what would be left out silently."""
    parts = urlsplit(url)
    return bool(parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)


def _is_secret(text: str) -> bool:
    """Whether it is a secret of Standard Webhooks."""
    try:
        return bool(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except ValueError:
        return False
