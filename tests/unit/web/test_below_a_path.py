"""The service below a path of its host, behind a proxy that takes the path off or leaves it on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rating_visitors import PAGE, House
from starlette.testclient import TestClient

from assent.web.below import path_of, placed
from assent.web.context import STATIC

ADDRESS = re.compile(r'\s(?:href|action|src|data-upload)="([^"]*)"')
BELOW = "/apps/rate"


class Proxy:
    """What a reverse proxy of https://host/apps/rate does with an address; None: it is another site's."""

    def __init__(self, app: Any, *, takes_off: bool) -> None:
        self._app, self._takes_off = app, takes_off

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if not scope["path"].startswith(BELOW + "/"):
                await send({"type": "http.response.start", "status": 418, "headers": []})
                await send({"type": "http.response.body", "body": b"another site"})
                return
            if self._takes_off:
                scope = {**scope, "path": scope["path"][len(BELOW) :], "raw_path": scope["raw_path"][len(BELOW) :]}
        await self._app(scope, receive, send)


@pytest.fixture(params=[True, False], ids=["taken off", "left on"])
def behind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[House, TestClient]]:
    with House.open(f"sqlite:///{tmp_path}/feedback.db", base_url=f"http://testserver{BELOW}") as house:
        yield house, TestClient(Proxy(house.app, takes_off=request.param), base_url="http://testserver")


def test_every_address_of_every_page_stays_below(behind: tuple[House, TestClient]) -> None:
    house, client = behind
    house.add_tasks(2)
    account = house.store.accounts.create("chief", "admin", now=house.clock())
    token = house.store.accounts.new_link(account.rater_id, now=house.clock())
    page = client.get(f"{BELOW}/enter/{token}", headers=PAGE)
    csrf = re.search(r'name="csrf" content="([^"]*)"', page.text)
    assert csrf is not None
    entered = client.post(f"{BELOW}/enter/{token}", data={"csrf": csrf[1]}, headers=PAGE, follow_redirects=False)
    assert entered.status_code == 303 and entered.headers["location"].startswith(f"{BELOW}/")
    assert f"Path={BELOW}/" in entered.headers["set-cookie"]
    waiting, seen = [f"{BELOW}/"], set()
    while waiting and len(seen) < 60:
        address = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        answer = client.get(address, headers=PAGE)
        assert answer.status_code == 200, (address, answer.status_code)
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        for found in ADDRESS.findall(answer.text):
            found = found.replace("&amp;", "&").partition("#")[0]
            if found.startswith("/"):
                assert found.startswith(f"{BELOW}/"), (address, found)
                is_page = not re.search(r"/(static|enter|join|file|exports)", found)
                waiting += [found] if is_page and f'href="{found}"' in answer.text.replace("&amp;", "&") else []
    assert any("/admin/people" in address for address in seen) and f"{BELOW}/rate/default" in seen


def test_styles_and_scripts_are_found(behind: tuple[House, TestClient]) -> None:
    _, client = behind
    page = client.get(f"{BELOW}/sign-in", headers=PAGE).text
    files = [a for a in ADDRESS.findall(page) if "/static/" in a]
    assert files and all(client.get(one).status_code == 200 for one in files)
    assert f'data-below="{BELOW}"' in page


def test_who_is_not_signed_in_is_sent_to_the_door_below(behind: tuple[House, TestClient]) -> None:
    _, client = behind
    answer = client.get(f"{BELOW}/me", headers=PAGE, follow_redirects=False)
    assert answer.headers["location"].startswith(f"{BELOW}/sign-in?next=")


def test_a_host_of_its_own_changes_nothing() -> None:
    assert path_of(None) == path_of("https://rate.example.org") == path_of("https://rate.example.org/") == ""
    assert path_of("https://example.org/apps/rate/") == BELOW
    assert placed('<a href="/x">', "") == '<a href="/x">'


def test_only_addresses_that_lead_back_are_placed() -> None:
    page = '<a class="b" href="/x">href="/y"</a><a href="//other/z"><a href="https://o/">'
    page += '<form action="/f" data-upload="/u">'
    assert placed(page, "/p") == (
        '<a class="b" href="/p/x">href="/y"</a><a href="//other/z"><a href="https://o/">'
        '<form action="/p/f" data-upload="/p/u">'
    )


def test_scripts_ask_through_the_one_function_that_knows_the_path() -> None:
    asking = [
        path.name for path in STATIC.glob("*.js") if re.search(r"(?<![#.\w])fetch\(", path.read_text(encoding="utf-8"))
    ]
    assert sorted(asking) == ["admin.js", "http.js"], "another script that fetches has to ask for `below(path)`"
    assert "fetch(below(path)" in (STATIC / "http.js").read_text(encoding="utf-8")
    assert "form.dataset.upload" in (STATIC / "admin.js").read_text(encoding="utf-8"), "which the page has placed"
