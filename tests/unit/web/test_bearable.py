"""What a client may cost: sizes, times, depth, unpacking, rendering, talks with models; and headers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pyarrow
import pyarrow.parquet
import pytest
from chat_samples import NAMES, Toy, new_service
from rating_visitors import PAGE, House
from starlette.requests import ClientDisconnect

from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.feedback.webhooks import Hook
from assent.service.serve import ServerAddress, served
from assent.web import outbound, security
from assent.web.deliveries import Deliveries
from assent.web.render import markup


def _parquet_bomb(path: Path) -> bytes:
    """A kilobyte that says one megabyte two hundred times in three columns."""
    text = pyarrow.array(["x" * (1 << 20)])
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 200, pyarrow.int32()), text)
    table = pyarrow.table(dict.fromkeys(("prompt", "chosen", "rejected"), column))
    pyarrow.parquet.write_table(table, path, compression="zstd")
    return path.read_bytes()


def test_files_that_unpack_to_far_more_than_they_are_are_refused(house: House, tmp_path: Path) -> None:
    house.store.projects.save("p", ProjectSettings(), now=house.clock())
    program = house.program("admin")
    bombs = {
        ".jsonl.gz": gzip.compress(b" " * (100 << 20)),
        ".parquet": _parquet_bomb(tmp_path / "bomb.parquet"),
    }
    assert len(bombs[".parquet"]) < 5000
    for ending, content in bombs.items():
        response = program.post("/api/v1/projects/p/imports", content=content, params={"ending": ending})
        said = response.json()["error"]["what"]
        assert response.status_code == 422 and ("unpack to more than 64 MB" in said or "longer than" in said), said


def test_a_nested_body_is_refused_before_anything_breaks_on_it(house: House) -> None:
    house.store.projects.save("p", ProjectSettings(), now=house.clock())
    program = house.program("admin")
    for depth, status in ((90, 200), (120, 422), (256, 422), (5000, 400)):
        meta = "[" * depth + "]" * depth
        body = f'{{"tasks": [{{"prompt": "q{depth}", "answers": ["a", "b"], "prompt_meta": {{"x": {meta}}}}}]}}'
        response = program.post("/api/v1/projects/p/tasks", content=body, headers={"content-type": "application/json"})
        assert response.status_code == status, (depth, response.text)


def alone(work: Any) -> Any:
    """What a coroutine gives in a thread of its own: browser tests leave a running loop in the one pytest works in."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_a_client_that_leaves_is_no_error(house: House, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        raise ClientDisconnect

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/sign-in", "headers": [], "query_string": b"", "client": None}
    scope |= {"http_version": "1.1", "scheme": "http", "raw_path": b"/sign-in", "server": ("h", 80), "root_path": ""}
    scope["headers"] = [(b"content-type", b"application/x-www-form-urlencoded")]  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING):
        alone(house.app(scope, receive, send))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.3)

    async def ask() -> list[Any]:
        sent = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.1)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/x-www-form-urlencoded")]
        scope = {"type": "http", "method": "POST", "path": "/sign-in", "headers": headers, "query_string": b""}
        scope |= {"client": ("1.2.3.4", 5), "http_version": "1.1", "scheme": "http", "server": ("h", 80)}
        await asyncio.wait_for(house.app({**scope, "raw_path": b"/sign-in", "root_path": ""}, receive, send), 20)
        return sent

    assert alone(ask())[0]["status"] == 408


def test_a_head_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("assent.service.patience.HEAD_SECONDS", 0.5)
    with served(f"sqlite:///{tmp_path}/f.db", ServerAddress(port=0)) as url:
        port = int(url.rpartition(":")[2])
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        for first in (b"", b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(first + b"GET / HTTP/1.1\r\nX-Slow: ")
                begun, seen = time.monotonic(), b""
                while piece := client.recv(65536):
                    seen += piece
                assert time.monotonic() - begun < 15 and (b"200 OK" in seen) is bool(first)


def test_two_lengths_of_one_request_are_refused(house: House) -> None:
    headers = {"content-length": "3", "transfer-encoding": "chunked"}
    assert house.visitor().client.post("/sign-in", content=b"abc", headers=headers).status_code == 400


def test_a_task_of_many_costly_texts_is_plain_from_some_point_on(monkeypatch: pytest.MonkeyPatch) -> None:
    costly: list[str] = []

    def slow(text: str) -> str:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        costly.append(text)
        return f"<p>{text}</p>"

    monkeypatch.setattr(markup, "_rendered", slow)
    budget = markup.Budget(seconds=0.2)
    shown = [budget.render(f"budget text {n}") for n in range(20)]
    assert 3 <= len(costly) <= 5
    assert shown[0] == "<p>budget text 0</p>" and 'data-plain="busy"' in shown[-1] and "budget text 19" in shown[-1]
    assert markup.render("budget text 19") == "<p>budget text 19</p>"  # the next time it is made


def test_https_is_kept_to_and_no_sibling_host_plants_a_cookie(tmp_path: Path) -> None:
    with House.open(f"sqlite:///{tmp_path}/feedback.db", base_url="https://rate.example.org") as house:
        visitor = house.visitor()
        response = visitor.client.get("https://testserver/sign-in")
        assert response.headers["strict-transport-security"] == "max-age=31536000"
        [cookie] = response.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-assent_visitor=") and "Secure" in cookie and "Path=/" in cookie
        planted = house.visitor(cookie="assent_visitor=planted").client.get("/sign-in")
        assert "__Host-assent_visitor=" in planted.headers["set-cookie"]
    with House.open(f"sqlite:///{tmp_path}/feedback.db", base_url="https://example.org/rate") as below:
        [cookie] = below.visitor().client.get("/rate/sign-in").headers.get_list("set-cookie")
        assert cookie.startswith("__Secure-assent_visitor=") and "Path=/rate/" in cookie
    with House.open(f"sqlite:///{tmp_path}/feedback.db") as plain:
        assert "strict-transport-security" not in plain.visitor().client.get("/sign-in").headers


def test_an_unknown_address_knows_who_is_signed_in_and_is_kept_by_nobody(house: House) -> None:
    rater = house.person(login="anna")
    for path in ("/nowhere", "/static/nowhere.js"):
        response = rater.client.get(path, headers=PAGE)
        assert (
            response.status_code == 404 and "anna" in response.text and response.headers["cache-control"] == "no-store"
        )
        assert "set-cookie" not in response.headers
    rater.page("/nowhere", status=404)
    assert rater.send_form("/language", language="de", next="/").status_code == 303


def test_a_proxy_that_is_not_trusted_is_said_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "assent.web"):
        for n in range(3):
            house.visitor(**{"x-forwarded-for": f"198.51.100.{n}"}).client.get("/sign-in")
    said = [record.getMessage() for record in caplog.records if "--trusted-proxy" in record.getMessage()]
    assert len(said) == 1 and "testclient" in said[0]


def talking() -> int:
    """Threads in which a model is to answer."""
    return sum(thread.name.startswith("talk ") for thread in threading.enumerate())


def test_a_rater_waits_for_one_conversation_at_a_time_also_when_it_ended(tmp_path: Path) -> None:
    slow = Toy(NAMES[0])
    slow.gate.clear()
    service = new_service(tmp_path, toys=[slow, Toy(NAMES[1])])
    ids = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)]
    service.post("say", conversation=ids[0], turn=1, text="Hi")
    before = talking()
    service.post("say", 409, conversation=ids[1], turn=1, text="Hi")
    service.post("end", conversation=ids[0])
    for _ in range(5):
        service.post("say", 409, conversation=ids[1], turn=1, text="Hi")
    assert talking() <= before
    slow.gate.set()
    for _ in range(200):
        if not any(thread.name.startswith("talk ") for thread in threading.enumerate()):
            break
        time.sleep(0.05)
    assert service.say("Hi", to=ids[2])["phase"] == "rating"
    assert len(slow.heard) == 2  # the second answer of the conversation that ended was not asked for


@pytest.fixture
def trickling() -> Any:
    """The address of a receiver that sends a byte of its head now and then, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=trickle, args=(client,), daemon=True).start()

    def trickle(client: socket.socket) -> None:
        try:
            client.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
            while not over.wait(0.1):
                client.sendall(b"a")
        except OSError:
            pass

    threading.Thread(target=work, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/slow"
    over.set()
    listener.close()


def test_a_receiver_that_never_ends_its_head_has_a_deadline(trickling: str) -> None:
    begun = time.monotonic()
    there = outbound.address_of(trickling, allow_private=True)
    with pytest.raises(httpx2.HTTPError), ThreadPoolExecutor(1) as thread:
        thread.submit(outbound.post, there, b"{}", {}, deadline=1.0).result()
    assert time.monotonic() - begun < 10


def test_a_slow_receiver_delays_its_own_messages_only(
    trickling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound.post, "__kwdefaults__", {"deadline": 3.0})
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def receive() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            heard.append(client.recv(65536))
            client.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            client.close()

    threading.Thread(target=receive, daemon=True).start()
    with Store.open(f"sqlite:///{tmp_path}/f.db") as store:
        now = time.time()
        for url in (trickling, f"http://127.0.0.1:{listener.getsockname()[1]}/quick"):
            store.webhooks.add(Hook(url, "erased"), now=now - 10)
        account = store.accounts.create("anna", "rater", now=now)
        store.erase_rater(account.rater_id, now=now)
        sender = threading.Thread(target=Deliveries(store, time.time, allow_private=True).work, daemon=True)
        sender.start()
        deadline = time.monotonic() + 2.5
        while not heard and time.monotonic() < deadline:
            time.sleep(0.05)
        assert heard, "the healthy receiver waited for the slow one"
        sender.join(timeout=20)
    listener.close()
