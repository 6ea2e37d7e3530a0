"""Sending a callback once more, by hand."""

from medley import events, logs, names, stores
from medley.errors import MedleyError, NotFinished, NotFound
from medley.publish import publish


def call_again(song: str, callback: str) -> str:
    """Makes a callback due now and announces it. Returns the reason to tell. Raises NotFound, NotFinished."""
    state = stores.callbacks().again(callback, song)
    if state is None:
        raise NotFound("This song has no such callback; settled ones are kept for two days.")
    if state == "waiting":
        raise NotFinished("The song is not finished yet; its callbacks are sent when it is.")
    try:
        publish(events.build(names.CALLBACK_DUE, "song", song, {"hash": song, "callback": callback}))
    except MedleyError as error:
        logs.line("error", "song", "not announced; the sweep will", error=error.detail)
        return "Callback is sent with the next sweep"
    return "Callback is sent once more"
