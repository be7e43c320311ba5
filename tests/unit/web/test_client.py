"""The Python client against the real service: its example, every method, and connections that break."""

from __future__ import annotations

import doctest
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from rating_visitors import House, a_task

import assent.client
from assent.client import ApiError, Client, verify, wire
from assent.core.errors import UserError
from assent.core.types import Ranking
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.records.webhooks import signature


@pytest.fixture
def served(house: House) -> Iterator[str]:
    """The service at an address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(house.app, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
    listening.close()


def _token(house: House, role: str = "admin") -> str:
    account = house.store.accounts.create(f"{role}-{len(house.store.accounts.all())}", role, now=house.clock())  # type: ignore[arg-type]
    return house.store.accounts.tokens.add(account.rater_id, "test", now=house.clock()).token


@pytest.fixture
def client(house: House, served: str) -> Iterator[Client]:
    with Client(served, _token(house)) as opened:
        yield opened


def test_the_example_of_the_module_is_true(house: House, served: str, tmp_path: Path) -> None:
    names = {"url": served, "token": _token(house), "folder": tmp_path}
    example = doctest.DocTestParser().get_doctest(str(assent.client.__doc__), names, "assent.client", None, 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(example, out=said.append, clear_globs=False)
    example.globs["client"].close()
    assert result.attempted > 9 and not result.failed, "".join(said)


def test_projects_tasks_and_judging(house: House, client: Client) -> None:
    assert client.me().role == "admin"
    client.save_project("p", ProjectSettings(title="P", gold_share=0, repeat_share=0))
    assert client.change_project("p", overlap_share=0.0).settings.title == "P"
    assert client.publish_guideline("p", "Be kind.").version == 1 and len(client.guidelines("p")) == 1
    tasks = [a_task(n, project="p") for n in range(3)]
    assert client.add_tasks("p", tasks).added == 3 and client.add_tasks("p", tasks).known == 3
    assert list(client.tasks("p")) == tasks and client.task("p-1") == tasks[1]
    assert client.set_priorities("p", {"p-2": 5.0, "unknown": 1.0}) == 1
    (one,) = client.claim("p")
    assert client.renew(one) > house.clock() and client.claim("p")[0].task_id == one.task_id
    ids = [answer.id for answer in one.answers]
    ranking = Ranking(tiers=((ids[0],), (ids[1], ids[2]), (ids[3],)), strengths=(2, None))
    receipt = client.submit(one, ranking, critique="fine", seconds=3.0, scores={})
    (said,) = client.judgments("p")
    assert said.id == receipt.judgment_id and said.ranking == ranking and said.critique == "fine"
    page = client.new_judgments("p")
    assert page.items == (said,) and client.new_judgments("p", page.next).items == ()
    assert client.submit(client.claim("p")[0], skip_reason="cannot tell").status == "skipped"
    assert [new.outcome for new in client.new_judgments("p", page.next).items] == ["skipped"]
    assert client.claim("p") and client.release() == 1
    assert (client.progress("p").have, client.progress("p").need) == (1, 3)
    assert client.statistics("p")["counts"] == {"have": 1, "need": 3}
    assert [project.name for project in client.projects()] == ["p"] and client.project("p").guideline is not None


def test_a_project_is_put_away_and_deleted(client: Client) -> None:
    client.save_project("p", {})
    client.add_tasks("p", [a_task(n, project="p") for n in range(3)])
    with pytest.raises(ApiError, match="is not archived"):
        client.delete_project("p")
    assert client.change_project("p", archived=True).archived_at is not None
    assert client.contents("p").tasks == 3 and client.delete_project("p").tasks == 3
    assert client.projects() == []


def test_quality_raters_and_files(house: House, client: Client, tmp_path: Path) -> None:
    client.save_project("p", {"gold_share": 0, "repeat_share": 0})
    client.add_tasks("p", [a_task(n, project="p") for n in range(2)])
    bot = client.register_rater("autorater", id="bot/7")
    (one,) = client.claim("p", rater_id=bot.id)
    tiers = [[answer.id] for answer in one.answers]
    client.submit(one, tiers, rater_id=bot.id)
    [row] = client.work("p")
    assert (row.project, row.rater_id, row.kind, row.judgments, row.skips) == ("p", "bot/7", "autorater", 1, 0)
    assert client.work() == [row] == client.work(first=date(2000, 1, 1), last=date(2999, 1, 1))
    assert client.work("p", last=date(2000, 1, 1)) == []
    with pytest.raises(ApiError, match="comes after the last"):
        client.work("p", first=date(2001, 1, 1), last=date(2000, 1, 1))
    assert client.set_gold("p-0", tiers if one.task_id == "p-0" else [[c.id for c in client.task("p-0").completions]])
    assert [gold.task_id for gold in client.gold("p")] == ["p-0"] and client.remove_gold("p-0")
    assert client.adjudicate("p-1", None, "unclear").ranking is None and len(client.adjudications("p")) == 1
    client.set_attributes("bot/7", {"version": "2"})
    assert client.rater("bot/7").attributes == {"version": "2"} and "bot/7" in [r.id for r in client.raters()]
    snapshot = client.take_snapshot("p", "monday")
    assert client.snapshots("p") == [snapshot] and client.take_snapshot("p", "monday") == snapshot
    report = client.export("p", "assent", tmp_path / "all.jsonl", snapshot=snapshot.hash)
    assert (report.rows, report.losses) == (1, {}) and client.losses("p", "hh").rows == 6
    client.save_project("q", {})
    (tmp_path / "more.jsonl").write_text('{"prompt": "Hi", "answers": ["a", "b"], "ranks": [1, 1]}\n')
    assert client.import_file("q", tmp_path / "more.jsonl").added == 1
    erasure = client.erase_rater("bot/7")
    assert [one.name for one in erasure.snapshots] == ["monday"] and erasure.judgments == 1


def test_accounts_and_webhooks(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_PRIVATE_WEBHOOKS", "1")
    client.save_project("p", {})
    made = client.invite("rater", project="p", max_uses=3)
    assert client.revoke_invitation(made.id) and [one.id for one in client.invitations()] == [made.id]
    [own] = client.accounts()
    assert client.me().rater_id == own.rater_id
    assert client.change_account(own.rater_id, projects=["p"]).projects == ("p",)
    assert "/enter/" in client.new_link(own.rater_id).link
    token = client.make_token("bot", role="rater")
    assert {one.id for one in client.tokens()} >= {token.id} and client.revoke_token(token.id)
    hook = client.add_webhook("http://127.0.0.1:9/", "judgments", project="p", threshold=5)
    assert [one.id for one in client.webhooks()] == [hook.id] and client.deliveries(hook.id) == []
    assert client.remove_webhook(hook.id) and not client.remove_webhook(hook.id)


def test_errors_say_what_and_what_to_do(
    served: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ApiError, match=r"there is no project 'x'; ") as caught:
        client.project("x")
    assert caught.value.status == 404 and isinstance(caught.value, UserError)
    client.save_project("p", {})
    (tmp_path / "bad.jsonl").write_text("{oops\n")
    with pytest.raises(ApiError, match=r"body.jsonl:1: not valid JSON"):
        client.import_file("p", tmp_path / "bad.jsonl")
    with pytest.raises(UserError, match="unknown ending"):
        client.export("p", "trl", tmp_path / "x.csv")
    with Client(served, "assent_wrong") as stranger, pytest.raises(ApiError, match="not valid") as caught:
        stranger.me()
    assert caught.value.status == 401
    monkeypatch.setattr(wire, "PAUSE", 0.001)
    with Client("http://127.0.0.1:9", "t") as nobody, pytest.raises(ApiError, match="does not answer") as caught:
        nobody.me()
    assert caught.value.status == 0


class Breaking(httpx2.BaseTransport):
    """A network that loses the answers of the first requests, after the service got them."""

    def __init__(self, losses: int) -> None:
        self._inner, self._left = httpx2.HTTPTransport(), losses
        self.sent: list[tuple[str, bytes]] = []

    def handle_request(self, request: Any) -> Any:
        self.sent.append((request.url.path, request.read()))
        response = self._inner.handle_request(request)
        if self._left > 0:
            self._left -= 1
            response.close()
            raise httpx2.ReadError("the connection broke")
        return response


def test_a_judgment_whose_answer_was_lost_goes_out_again_and_is_kept_once(
    house: House, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PAUSE", 0.001)
    token = _token(house)
    with Client(served, token) as client:
        client.save_project("p", {})
        client.add_tasks("p", [a_task(0, project="p")])
        (one,) = client.claim("p")
    network = Breaking(2)
    with Client(served, token, transport=network) as unlucky:
        receipt = unlucky.submit(one, [[answer.id] for answer in one.answers])
    assert receipt.status == "known"
    assert len(network.sent) == 3 and len(set(network.sent)) == 1
    assert len(house.store.judgments(Queue("p"))) == 1


def test_what_must_not_happen_twice_is_not_sent_again(house: House, served: str) -> None:
    network = Breaking(1)
    with Client(served, _token(house), transport=network) as client, pytest.raises(ApiError, match="does not answer"):
        client.make_token("bot")
    assert len(network.sent) == 1 and len([t for t in house.store.accounts.tokens.all() if t.name == "bot"]) == 1


def test_webhook_signatures_are_verified() -> None:
    header = signature("whsec_1", b'{"a":1}', at=1_000)
    assert verify("whsec_1", header, b'{"a":1}', now=1_200)
    assert not verify("whsec_1", header, b'{"a":2}', now=1_200)
    assert not verify("whsec_2", header, b'{"a":1}', now=1_200)
    assert not verify("whsec_1", header, b'{"a":1}', now=1_301)
    for broken in ("", "t=x,v1=y", "v1=abc", header.replace("t=1000", "t=1001"), header + "é"):
        assert not verify("whsec_1", broken, b'{"a":1}', now=1_200)


def test_the_client_brings_no_server_and_no_database_along() -> None:
    heavy = {"fastapi", "starlette", "sqlalchemy", "alembic", "jinja2", "argon2", "numpy", "torch", "uvicorn"}
    seen = "import sys, assent.client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert heavy & set(found.stdout.split()) == set()
