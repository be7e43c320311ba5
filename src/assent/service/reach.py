"""Where others reach a service that listens on every network: this machine's addresses, and a code for their phones."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import socket
from collections.abc import Callable

import segno

EVERYWHERE = ("0.0.0.0", "::")
"""Hosts to listen on that mean all networks of the machine."""
_TOWARDS = ("192.0.2.1", "10.255.255.254", "172.31.255.254", "192.168.255.254", "2001:db8::1", "fd00::1")
"""The way out, and networks that offices have. Nothing is sent there; the system says which address it would use."""
_WHITE_ON_BLACK, _AS_BEFORE = "\x1b[97;40m", "\x1b[0m"


def own_addresses(host: str, *, towards: Callable[[str], str | None] | None = None) -> list[str]:
    """This machine's addresses that others can type, the one of the way out first; none where it is in no network.

    IPv6 ones only for the host `::`, and after those of IPv4: they are longer to type.
    """
    found = [address for target in _TOWARDS if (address := (towards or _source)(target)) is not None]
    usable = [one for one in dict.fromkeys(found) if _can_be_typed(one) and (":" not in one or host == "::")]
    return sorted(usable, key=lambda one: ":" in one)


def terminal_code(text: str) -> str:
    """A QR code of a text in half blocks, white on black whatever the terminal's colours are."""
    drawn = io.StringIO()
    segno.make_qr(text, error="l").terminal(drawn, border=1, compact=True)
    return "\n".join(f"{_WHITE_ON_BLACK}{line}{_AS_BEFORE}" for line in drawn.getvalue().splitlines())


def _can_be_typed(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    return not (found.is_loopback or found.is_unspecified or found.is_link_local)


def _source(target: str) -> str | None:
    """The address from which this machine would send to another; None where there is no way."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect((target, 9))  # of a datagram socket this sends nothing
        return str(asked.getsockname()[0])
    return None
