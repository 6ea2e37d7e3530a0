"""Which addresses a callback may be sent to: judged when it is sent, and connected to as judged."""

import base64
import contextlib
import ipaddress
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
# The last 32 bits of these are an IPv4 address: NAT64 (RFC 6052), IPv4-compatible (RFC 4291, 2.5.5.1).
CARRIERS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # NAT64 within a site (RFC 8215), which Python 3.11.7 takes for public


class Refused(Exception):
    """The address is not one that callbacks may be sent to."""


class Unresolved(Exception):
    """The host has no address at present."""


@dataclass(frozen=True)
class Target:
    """A URL, and the addresses it may be connected to, best first: a second look-up could give others."""

    url: str
    host: str
    addresses: tuple[str, ...]


def judge(url: str, allow: tuple[str, ...]) -> Target:
    """The target of a callback's URL.

    Public addresses are allowed, and what `allow` names: "any", a host, an address or a network. Raises Refused, or
    Unresolved when the host has no address now.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"the host cannot be resolved: {error}") from error
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    allowed = tuple(address for address in addresses if _allowed(host, address, allow))
    if not allowed:
        raise Refused("the address is not a public one, and CALLBACK_ALLOW does not name it")
    return Target(url, host, allowed)


def _allowed(host: str, address: str, allow: tuple[str, ...]) -> bool:
    if {"any", host} & {each.lower() for each in allow}:  # a URL's host comes in small letters
        return True
    found = ipaddress.ip_address(address.partition("%")[0])
    reached = _reached(found)
    return _public(reached) or any(_within(each, network) for each in (found, reached) for network in allow)


def _public(address: IPAddress) -> bool:
    if address in LOCAL:
        return False
    return address.is_global and not address.is_multicast and not getattr(address, "is_site_local", False)


def _reached(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one carries, where a translator or a tunnel would lead to that."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if carried := address.ipv4_mapped or address.sixtofour:
        return carried
    if any(address in network for network in CARRIERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: IPAddress, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False  # a host


def post(target: Target, body: bytes, headers: dict[str, str], seconds: float) -> urllib3.BaseHTTPResponse:
    """POSTs to a judged address within `seconds` in all; follows no redirect.

    The body of the answer is not read: it may be endless. Raises TimeoutError when they are over, else urllib3's
    HTTPError, http.client's HTTPException or OSError.
    """
    until = time.monotonic() + seconds
    connection = _connected(target, seconds)
    connection.timeout = seconds
    # A time limit of a socket is one for each piece: whoever sends a byte a second would hold it for ever.
    late = threading.Event()
    cut = threading.Timer(until - time.monotonic(), _shut, (connection, late))
    try:
        if time.monotonic() >= until:  # a connection that is only being made cannot be cut
            raise TimeoutError
        cut.start()
        return _answer(connection, target, body, headers)
    except Exception as error:
        if late.is_set():
            raise TimeoutError from error  # whatever being cut off looks like
        raise
    finally:
        cut.cancel()
        connection.close()


def _answer(
    connection: HTTPConnection, target: Target, body: bytes, headers: dict[str, str]
) -> urllib3.BaseHTTPResponse:
    parts = urlsplit(target.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    user, _, host = parts.netloc.rpartition("@")
    if user:
        user += "" if ":" in user else ":"  # RFC 7617: there is always one
        headers = {**headers, "Authorization": f"Basic {base64.b64encode(unquote_to_bytes(user)).decode()}"}
    connection.request("POST", path, body=body, headers={"Host": host, **headers}, preload_content=False)
    answer = connection.getresponse()
    answer.close()
    return answer


def _connected(target: Target, seconds: float) -> HTTPConnection:
    """To the first address that takes a connection; each gets its share of the time. Raises what the last one does."""
    *others, last = target.addresses
    share = seconds / len(target.addresses)
    for address in others:
        with contextlib.suppress(NewConnectionError, ConnectTimeoutError):
            return _connect(target, address, share)
    return _connect(target, last, share)


def _connect(target: Target, address: str, seconds: float) -> HTTPConnection:
    connection = _connection(target, address, seconds)
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _connection(target: Target, address: str, seconds: float) -> HTTPConnection:
    """To the address, in the name of the host."""
    port = urlsplit(target.url).port
    if urlsplit(target.url).scheme == "http":
        return HTTPConnection(address, port, timeout=seconds)
    return HTTPSConnection(address, port, timeout=seconds, server_hostname=target.host, assert_hostname=target.host)


def _shut(connection: HTTPConnection, late: threading.Event) -> None:
    """Ends whatever waits for the connection."""
    late.set()
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
