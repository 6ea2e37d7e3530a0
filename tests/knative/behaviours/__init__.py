"""The table of behaviours: what each is called, how it is played, and which worlds leave it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.knative.behaviours import filters, replies, retries
from tests.knative.world import Lab


@dataclass(frozen=True)
class Row:
    """A behaviour of the Broker; `left_out` says which worlds leave it out, and why."""

    play: Callable[[Lab], None]
    left_out: Mapping[str, str] = field(default_factory=dict)


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
}
