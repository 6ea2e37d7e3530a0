"""Sending a callback once more, by hand."""

from medley import events, names, stores
from medley.announce import announce
from medley.errors import NotFinished, NotFound


def call_again(song: str, callback: str) -> str:
    """Makes a callback due now and announces it. Returns the reason to tell. Raises NotFound, NotFinished."""
    state = stores.callbacks().again(callback, song)
    if state is None:
        raise NotFound("This song has no such callback; settled ones are kept for two days.")
    if state == "waiting":
        raise NotFinished("The song is not finished yet; its callbacks are sent when it is.")
    event = events.build(names.CALLBACK_DUE, "song", song, {"hash": song, "callback": callback})
    return "Callback is sent once more" if announce(event) else "Callback is sent with the next sweep"
