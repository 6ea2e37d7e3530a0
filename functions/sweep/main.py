"""Woken by a PingSource every few minutes: puts right what was lost on the way."""

from typing import Any

import functions_framework

from functions.sweep.sweep import sweep as sweep_all
from medley import http, names
from medley.settings import STORES, require

require(*STORES)


def act(_: Any) -> None:
    sweep_all()


sweep = functions_framework.http(
    http.function("sweep", http.event_handler((names.PING,), act), ready=http.stores_ready)
)
