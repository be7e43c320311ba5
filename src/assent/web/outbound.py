"""Requests to addresses that somebody typed in: to public ones only, so that the server is no door into its network.

A name is resolved once, every address it has must be public, and the request goes to that very address: a name that
changes between the check and the request changes nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2

from assent.core.errors import UserError

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

LONGEST_URL = 2000
TIMEOUT = 10.0
"""Seconds without a sign of the receiver."""
DEADLINE = 20.0
"""Seconds for a whole exchange: a receiver that sends a byte now and then would else hold it for ever."""
LONGEST_ANSWER = 1 << 20
"""Bytes of an answer that are read."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")


class Forbidden(UserError):
    """An address that the server does not send to."""


@dataclass(frozen=True)
class Address:
    """Where a request goes: the URL as it was given, and the IP address that its name had when it was checked."""

    url: httpx2.URL
    ip: str


def check_url(text: str) -> httpx2.URL:
    """A URL as it may be kept. Raises Forbidden for other schemes than http(s), logins inside, or no host."""
    try:
        url = httpx2.URL(text)
        port = url.port
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise Forbidden(f"{text[:80]!r} is not a URL; give one like https://example.org/hook") from None
    if len(text) > LONGEST_URL or not text.isprintable() or any(c.isspace() for c in text):
        raise Forbidden(f"the URL is longer than {LONGEST_URL} characters or holds signs that no URL has; shorten it")
    if url.scheme not in ("http", "https") or not url.host or port == 0:
        raise Forbidden(f"{text[:80]!r} is not a web address; give one like https://example.org/hook")
    if url.userinfo:
        raise Forbidden("the URL holds a login; leave it out, messages are signed instead")
    return url


def address_of(text: str, *, allow_private: bool = False, resolve: Resolve | None = None) -> Address:
    """Where a request to a URL goes. Raises Forbidden where its host is unknown, or an address of it is not public."""
    url = check_url(text)
    host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
    try:
        found = (resolve or addresses)(host, port)
    except (OSError, UnicodeError):
        raise Forbidden(f"there is no host {host!r}; check the name") from None
    for ip in found:
        if not allow_private and not is_public(ipaddress.ip_address(ip.partition("%")[0])):
            raise Forbidden(
                f"{host!r} is an address inside the server's own network; an admin can allow such addresses"
                " with ASSENT_PRIVATE_WEBHOOKS=1"
            )
    if not found:
        raise Forbidden(f"there is no host {host!r}; check the name")
    return Address(url, found[0])


def post(to: Address, body: bytes, headers: Mapping[str, str], *, deadline: float = DEADLINE) -> int:
    """Send a body and return the HTTP status. Raises httpx2.HTTPError where there is no answer in time."""
    sent = {"Content-Type": "application/json", **headers}
    return _in_time(_exchange(to, "POST", body, sent, most=None), deadline).status_code


def ask(
    to: Address,
    method: str = "GET",
    *,
    body: bytes = b"",
    headers: Mapping[str, str],
    most: int = LONGEST_ANSWER,
    deadline: float = DEADLINE,
) -> httpx2.Response:
    """Ask and read the answer, up to `most` bytes. Raises httpx2.HTTPError where there is none in time, or a longer."""
    return _in_time(_exchange(to, method, body, headers, most=most), deadline)


def addresses(host: str, port: int) -> list[str]:
    """The addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: IP) -> bool:
    """Whether an address belongs to the public internet, also where an IPv4 address hides in it."""
    if isinstance(address, ipaddress.IPv6Address):
        hidden = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if hidden is None and address in _NAT64:
            hidden = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if hidden is not None:
            return is_public(hidden)
        if address in _SITE_LOCAL:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _in_time(exchange: Coroutine[Any, Any, httpx2.Response], deadline: float) -> httpx2.Response:
    async def watched() -> httpx2.Response:
        try:
            async with asyncio.timeout(deadline):
                return await exchange
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no whole answer within {deadline:g} s") from None

    # In a thread of its own, for the caller's may have a loop running.
    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, watched()).result()


async def _exchange(
    to: Address, method: str, body: bytes, headers: Mapping[str, str], *, most: int | None
) -> httpx2.Response:
    """One request and its answer; `most` None: without the answer's body, which may have no end."""
    pinned = to.url.copy_with(host=to.ip)
    named = {"Host": to.url.netloc.decode("ascii"), **headers}
    # Without the environment's proxies: they would look the name up again.
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=TIMEOUT) as client:
        extensions = {"sni_hostname": to.url.raw_host.decode("ascii")}
        async with client.stream(method, pinned, content=body, headers=named, extensions=extensions) as response:
            content = b""
            if most is not None:
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > most:
                        raise httpx2.RemoteProtocolError(f"the answer is longer than {most} bytes")
            return httpx2.Response(response.status_code, content=content, request=httpx2.Request(method, to.url))
