"""Sending events to the Broker."""

from functools import cache

import urllib3

from medley.errors import Unavailable
from medley.settings import settings

HEADERS = {"Content-Type": "application/cloudevents+json"}


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=4, retries=False, timeout=urllib3.Timeout(settings().broker_timeout))


def publish(event: str) -> None:
    """Hands a structured event to the Broker. Raises Unavailable when it does not take it."""
    url = settings().broker_url
    if not url:
        raise Unavailable("No Broker is set (BROKER_URL).")
    try:
        answer = _pool().request("POST", url, body=event.encode(), headers=HEADERS)
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable("The Broker does not answer.") from error
    if answer.status >= 300:
        raise Unavailable(f"The Broker answered {answer.status}.")
