"""Which addresses a callback may be sent to: judged when it is sent, and connected to as judged."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The address is not one that callbacks may be sent to."""


class Unresolved(Exception):
    """The host has no address at present."""


@dataclass(frozen=True)
class Target:
    """A URL, and the one address it is going to be connected to: a second look-up could give another."""

    url: str
    host: str
    address: str


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
    addresses = [str(entry[4][0]) for entry in found]
    allowed = [address for address in addresses if _allowed(host, address, allow)]
    if not allowed:
        raise Refused("the address is not a public one, and CALLBACK_ALLOW does not name it")
    return Target(url, host, allowed[0])


def _allowed(host: str, address: str, allow: tuple[str, ...]) -> bool:
    if "any" in allow or host in allow:
        return True
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return (found.is_global and not found.is_multicast) or any(_within(found, network) for network in allow)


def _within(address: IPAddress, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False  # a host


def post(target: Target, body: bytes, headers: dict[str, str], seconds: float) -> urllib3.BaseHTTPResponse:
    """POSTs to the judged address within `seconds` each for connecting and answering; follows no redirect.

    The body of the answer is not read. Raises urllib3's HTTPError.
    """
    parts = urlsplit(target.url)
    timeout = urllib3.Timeout(total=seconds)
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            target.address, parts.port, timeout=timeout, server_hostname=target.host, assert_hostname=target.host
        )
    else:
        pool = urllib3.HTTPConnectionPool(target.address, parts.port, timeout=timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with pool:
        answer = pool.request(
            "POST",
            path,
            body=body,
            headers={"Host": parts.netloc.rpartition("@")[2], **headers},
            redirect=False,
            retries=False,
            preload_content=False,
        )
        answer.close()
    return answer
