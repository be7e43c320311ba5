"""Where others reach a service: the addresses of this machine, and the code that a terminal shows."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from assent.service import serve
from assent.service.reach import own_addresses, terminal_code
from assent.service.serve import ServeOptions, ServerAddress, address, in_the_network, listen

OFFICE = {
    "192.0.2.1": "192.168.1.20",
    "10.255.255.254": "10.0.0.5",
    "172.31.255.254": "192.168.1.20",
    "192.168.255.254": "127.0.0.1",
    "2001:db8::1": "fd00::7",
    "fd00::1": "fe80::1%eth0",
}
"""From which address a machine in two networks sends towards others."""


@contextmanager
def _listening(at: ServerAddress) -> Iterator[Any]:
    try:
        listener = listen(at)
    except Exception as problem:  # no IPv6 on this machine
        pytest.skip(str(problem))
    with closing(listener):
        yield listener


def test_loopback_and_link_local_addresses_are_of_no_use_to_others() -> None:
    assert own_addresses("0.0.0.0", towards=OFFICE.get) == ["192.168.1.20", "10.0.0.5"]
    assert own_addresses("::", towards=OFFICE.get) == ["192.168.1.20", "10.0.0.5", "fd00::7"]
    assert own_addresses("0.0.0.0", towards=lambda _: None) == []


def test_the_addresses_of_this_machine_are_not_loopback() -> None:
    assert not any(ipaddress.ip_address(one).is_loopback for one in own_addresses("::"))


@pytest.mark.parametrize(
    ("host", "found", "expected"),
    [
        ("0.0.0.0", ["192.168.1.20", "10.0.0.5"], "http://192.168.1.20"),
        ("::", ["fd00::7"], "http://[fd00::7]"),
        ("0.0.0.0", [], "http://127.0.0.1"),
        ("::", [], "http://[::1]"),
        ("127.0.0.1", ["192.168.1.20"], "http://127.0.0.1"),
    ],
)
def test_links_use_the_address_that_others_can_open(
    monkeypatch: pytest.MonkeyPatch, host: str, found: list[str], expected: str
) -> None:
    monkeypatch.setattr(serve, "own_addresses", lambda _: found)
    at = ServerAddress(host, 0)
    with _listening(at) as listener:
        assert address(at, listener) == f"{expected}:{listener.getsockname()[1]}"


def test_other_addresses_and_a_code_are_said_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "own_addresses", lambda _: ["192.168.1.20", "10.0.0.5"])
    at, here = ServerAddress("0.0.0.0", 0), ServerAddress("127.0.0.1", 0)
    with _listening(at) as listener:
        port, url = listener.getsockname()[1], address(at, listener)
        said = list(in_the_network(ServeOptions(at), url, listener))
        drawn = list(in_the_network(ServeOptions(at, draws_code=True), url, listener))
        assert list(in_the_network(ServeOptions(here, draws_code=True), url, listener)) == []
        proxied = ServerAddress("0.0.0.0", 0, "https://rate.example.org")
        assert list(in_the_network(ServeOptions(proxied, draws_code=True), url, listener)) == []
    assert said == [f"also at http://10.0.0.5:{port}/"]
    assert drawn == [*said, terminal_code(f"http://192.168.1.20:{port}/")]


def test_a_machine_in_no_network_is_told_that_its_links_lead_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "own_addresses", lambda _: [])
    at = ServerAddress("0.0.0.0", 0)
    with _listening(at) as listener:
        (line,) = in_the_network(ServeOptions(at), "http://127.0.0.1:1", listener)
    assert "--base-url" in line


def test_a_code_for_the_terminal_is_short_and_keeps_its_colours() -> None:
    lines = terminal_code("http://192.168.1.20:8000/").splitlines()
    assert len(lines) <= 18 and all(line.startswith("\x1b[97;40m") and line.endswith("\x1b[0m") for line in lines)
    assert len({len(line) for line in lines}) == 1
