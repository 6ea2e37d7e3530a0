"""The table of behaviours: what each is called, how it is played, and which worlds leave it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.knative.behaviours import events, filters, letters, missing, refused, replies, retries, slots, songs
from tests.knative.place import Place, Setting
from tests.knative.world import Lab


@dataclass(frozen=True)
class Row:
    """A behaviour of the Broker; `left_out` says which worlds leave it out, and why."""

    play: Callable[[Lab], None]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SongRow:
    """A behaviour of the whole; rows of equal settings, which follow each other, share a place."""

    setting: Setting
    play: Callable[[Place], None]
    left_out: Mapping[str, str] = field(default_factory=dict)


NO_QUEUE_PROXY = {"cluster": "servers of the tests have no queue-proxy there; the songs' rows show it"}
LOADED = {"rehearsal": "it does not have this fault", "cluster": "it would end the dispatcher of all channels there"}
CHECKED = {"rehearsal": "such manifests are refused at the start (tests/local/test_manifests.py)"}

BROKER: dict[str, Row] = {
    "each Trigger lets through exactly its types, structured": Row(filters.structured),
    "each Trigger lets through exactly its types, binary": Row(filters.binary),
    "an event arrives whole": Row(filters.whole),
    "a reply goes round once, binary": Row(replies.binary),
    "a reply goes round once, structured": Row(replies.structured),
    "an empty 2xx is done": Row(replies.empty),
    "a 2xx that is no event is a failure": Row(replies.no_event),
    "a 2xx that is half an event is a failure": Row(replies.half_an_event),
    "a reply in circles ends": Row(replies.in_circles),
    "who posts does not wait": Row(replies.nobody_waits),
    **{name: Row(play) for name, play in retries.TABLE.items()},
    "a dead letter tells why": Row(letters.tells_why),
    "a dead letter does not tell why when it was late": Row(letters.silent_when_late),
    "a dead letter that nobody takes is given up": Row(letters.given_up),
    "a dead letter is taken with any words": Row(letters.taken_with_any_words),
    "an error of more than 768 bytes ends the Broker": Row(letters.ended_by_a_long_answer, LOADED),
    "what is no event is refused": Row(refused.no_event),
    "an attribute with a line break is refused": Row(refused.line_break),
    "another Broker is not found": Row(refused.another_broker),
    "an event of a megabyte": Row(refused.a_megabyte),
    "a Trigger without a function": Row(refused.no_function, CHECKED),
    "one event at a time at concurrency 1": Row(slots.one_at_a_time, NO_QUEUE_PROXY),
    "more events than may wait": Row(slots.overrun, NO_QUEUE_PROXY),
    "an answer after the function's time limit": Row(slots.out_of_time, NO_QUEUE_PROXY),
    "the wait for a slot counts": Row(slots.the_wait_counts, NO_QUEUE_PROXY),
}

OWN = {"cluster": "its functions have their stores"}

EVENTS: dict[str, Row] = {
    "events that separate cannot use": Row(events.separate),
    "events that callback cannot use": Row(events.callback),
    "lines that logsink cannot use": Row(events.logsink),
    "a dead letter that does not tell why": Row(events.silent_letter),
    "Redis missing at the start and away later": Row(missing.redis_away, OWN),
    "S3 missing at the start": Row(missing.s3_away, OWN),
    "wrong keys of S3": Row(missing.wrong_keys, OWN),
    "a wrong password of Redis": Row(missing.wrong_password, OWN),
}

PLAIN = Setting()
UNSWEPT = Setting(ping=0)  # the row pings
HURRIED = Setting(environment=(("TIME_LIMIT", "3"), ("TIME_MARGIN", "2.8"), ("MAX_ATTEMPTS", "1")))

SONGS: dict[str, SongRow] = {
    "a song from upload to callback": SongRow(PLAIN, songs.whole),
    "the same event five times": SongRow(PLAIN, songs.five_times),
    "separate killed during a song": SongRow(PLAIN, songs.killed),
    "separate terminated during a song": SongRow(PLAIN, songs.terminated),
    "two songs at concurrency 1": SongRow(PLAIN, songs.two_songs),
    "the Broker away during an upload": SongRow(PLAIN, songs.broker_away),
    "the Broker away when a song ends": SongRow(PLAIN, songs.broker_away_at_the_end),
    "fifty uploads at once": SongRow(PLAIN, songs.burst),
    "PingSource wakes sweep": SongRow(UNSWEPT, songs.ping),
    "a song longer than the time limit": SongRow(HURRIED, songs.longer_than_the_limit),
}
