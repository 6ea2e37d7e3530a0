"""Who may ask the gateway: whoever is on this machine, but not the pages of others in this machine's browser.

A browser asks 127.0.0.1 for any page that wants it. It lets a page of another origin read no answer, but send a form;
and read all of it where a name of the page's own is made to lead here (DNS rebinding). So names that anybody may own
are refused, and requests of pages from elsewhere.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from medley.errors import Forbidden

NOBODYS = (".localhost", ".local", ".internal", ".home.arpa")  # no such name can be had in the public DNS


def check(headers: Mapping[str, str]) -> None:
    """Raises Forbidden."""
    host = headers.get("Host", "")
    name = _name(f"//{host}")
    if "." in name.rstrip(".") and not name.endswith(NOBODYS) and not _address(name):
        raise Forbidden(f"{host[:200]!r} is not a name of this machine; call http://localhost, or 127.0.0.1.")
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host and not _here(_name(origin)):
        raise Forbidden(f"A page of {origin[:200]!r} may not call this service; one of http://localhost may.")


def _name(url: str) -> str:
    """A URL's host; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _here(name: str) -> bool:
    address = _address(name)
    return name == "localhost" or name.endswith(".localhost") or bool(address and address.is_loopback)
