"""Webhooks over HTTP: signed messages arrive once, failures are tried again, and nothing leads into the own network."""

from __future__ import annotations

import ipaddress
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from assent.core.types import Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.records.webhooks import Hook, signature
from assent.feedback.store import Store
from assent.feedback.webhooks import CHECK_SECONDS, PAUSES
from assent.web import outbound
from assent.web.app import create_app
from assent.web.deliveries import Deliveries
from assent.web.outbound import Forbidden, address_of, is_public


class Receiver:
    """A server that remembers what it got and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        seen = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                seen.got.append((dict(self.headers), body))
                self.send_response(seen.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self.server: HTTPServer = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/feedback.db") as opened:
        prompt = Prompt.of("Why?")
        answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in ("a", "b"))
        opened.add_tasks([Task(id="t", prompt=prompt, completions=answers)], now=0)
        opened.register_rater(Rater(id="anna", kind="person"), now=0)
        ranking = Ranking(tiers=(("a",), ("b",)))
        opened.submit(Judgment(id="j", task_id="t", rater_id="anna", ranking=ranking), now=1)
        yield opened


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _add(store: Store, url: str) -> tuple[int, str]:
    made = store.webhooks.add(Hook(url, "finished", "default"), now=0)
    return made.kept.id, made.token


def test_a_message_arrives_once_and_its_signature_holds(store: Store, receiver: Receiver) -> None:
    _, secret = _add(store, receiver.url)
    clock = Clock()
    sender = Deliveries(store, clock, allow_private=True)
    assert sender.work() == 1
    clock.now += CHECK_SECONDS
    assert sender.work() == 0
    ((headers, body),) = receiver.got
    assert json.loads(body)["judged_slots"] == 1
    assert headers["Assent-Event"] == "finished" and headers["Assent-Signature"] == signature(secret, body, at=1000)
    assert headers["Host"] == receiver.url.split("/")[2]


def test_a_failed_message_is_sent_again_after_a_pause_under_the_same_number(store: Store, receiver: Receiver) -> None:
    hook, _ = _add(store, receiver.url)
    clock = Clock()
    sender = Deliveries(store, clock, allow_private=True)
    receiver.status = 503
    assert [sender.work(), sender.work()] == [0, 0]
    (delivery,) = store.webhooks.deliveries(hook)
    assert (delivery.status, delivery.problem, delivery.next_at) == (503, "answered 503", 1000 + PAUSES[0])
    receiver.status = 200
    clock.now += PAUSES[0]
    assert sender.work() == 1
    assert len({headers["Assent-Delivery"] for headers, _ in receiver.got}) == 1 and len(receiver.got) == 2


def test_redirects_are_not_followed(store: Store, receiver: Receiver) -> None:
    hook, _ = _add(store, receiver.url)
    receiver.status = 307
    assert Deliveries(store, Clock(), allow_private=True).work() == 0
    assert len(receiver.got) == 1 and store.webhooks.deliveries(hook)[0].problem == "answered 307"


def test_without_the_setting_nothing_is_sent_into_the_own_network(store: Store, receiver: Receiver) -> None:
    hook, _ = _add(store, receiver.url)
    assert Deliveries(store, Clock(), allow_private=False).work() == 0
    assert receiver.got == []
    assert "inside the server's own network" in str(store.webhooks.deliveries(hook)[0].problem)


def test_nobody_there_is_a_failure_like_others(store: Store) -> None:
    hook, _ = _add(store, "http://127.0.0.1:9/")
    assert Deliveries(store, Clock(), allow_private=True).work() == 0
    assert store.webhooks.deliveries(hook)[0].problem == "no answer: ConnectError"


def test_the_thread_sends_and_ends(store: Store, receiver: Receiver) -> None:
    _add(store, receiver.url)
    sender = Deliveries(store, Clock(), pause=0.02, allow_private=True)
    sender.start()
    waited = threading.Event()
    for _ in range(200):
        if receiver.got:
            break
        waited.wait(0.05)
    sender.stop()
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8000/",
        "http://[::1]/",
        "http://0/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://[::ffff:7f00:1]/",
    ],
)
def test_spellings_of_the_own_machine_are_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        address_of(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "example.org",
        "http://",
        "https://user:pw@example.org/",
        "gopher://x/",
        "",
        "http://a b/",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        address_of(url, resolve=lambda host, port: ["8.8.8.8"])


def test_a_name_with_one_private_address_is_refused() -> None:
    with pytest.raises(Forbidden, match="own network"):
        address_of("https://example.org/", resolve=lambda host, port: ["8.8.8.8", "10.0.0.1"])
    assert address_of("https://example.org/", resolve=lambda host, port: ["8.8.8.8"]).ip == "8.8.8.8"


def test_a_name_that_changes_after_the_check_changes_nothing(receiver: Receiver) -> None:
    """The request goes to the address that was checked; the name is not looked up again."""
    port = receiver.server.server_port
    to = address_of(f"http://receiver.invalid:{port}/", allow_private=True, resolve=lambda host, port: ["127.0.0.1"])
    assert outbound.post(to, b"{}", {}) == 204
    assert receiver.got[0][0]["Host"] == f"receiver.invalid:{port}"


def test_https_checks_the_certificate_against_the_name_and_not_the_address(receiver: Receiver, tmp_path: Path) -> None:
    pair = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt"), "-subj", "/CN=receiver.invalid"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *pair]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:receiver.invalid"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    url = f"https://receiver.invalid:{receiver.server.server_port}/"
    to = address_of(url, allow_private=True, resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(httpx2.ConnectError, match="self-signed"):  # it is the right name, of nobody we trust
        outbound.post(to, b"{}", {})
    assert asked == ["receiver.invalid"] and receiver.got == []


def test_the_service_sends_while_it_runs_and_stops_with_it(tmp_path: Path) -> None:
    def senders() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "webhooks"]

    before = len(senders())
    with TestClient(create_app(f"sqlite:///{tmp_path}/feedback.db")):
        assert len(senders()) == before + 1
    assert len(senders()) == before
