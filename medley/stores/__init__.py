"""Where the real stores are picked: one function each, the same for every function of medley."""

from functools import cache

from medley.settings import settings
from medley.stores.callbacks import Callbacks
from medley.stores.jobs import Jobs
from medley.stores.logbook import Logbook
from medley.stores.objects import Objects
from medley.stores.outbox import Outbox
from medley.stores.redis import Client, connect
from medley.stores.sweeps import Sweeps


@cache
def redis() -> Client:
    return connect(settings().redis_url)


@cache
def jobs() -> Jobs:
    return Jobs(redis())


@cache
def callbacks() -> Callbacks:
    return Callbacks(redis())


@cache
def outbox() -> Outbox:
    return Outbox(redis())


@cache
def sweeps() -> Sweeps:
    return Sweeps(redis())


@cache
def logbook() -> Logbook:
    return Logbook(redis(), settings().log_length)


@cache
def objects() -> Objects:
    return Objects(settings())
