"""What keeps others out: forged requests, roles, headers, sizes, hosts, paths; and that every error is an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rating_visitors import PAGE, House, ranking
from starlette.testclient import TestClient

from assent.core.errors import RunError
from assent.feedback.people.tokens import ApiTokens
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.web.security import BODY_LIMIT, POLICY

CHANGING = ["/rating/submit", "/rating/release", "/rating/renew", "/sign-out", "/me/profile", "/me/erase", "/language"]


@pytest.mark.parametrize("path", CHANGING)
@pytest.mark.parametrize("token", [None, "", "wrong", "of somebody else"])
def test_whatever_changes_something_wants_a_token_of_our_pages(house: House, path: str, token: str | None) -> None:
    house.add_tasks(1)
    rater, other = house.person(), house.person()
    headers = {} if token is None else {"x-csrf-token": other.csrf if token == "of somebody else" else token}
    response = rater.client.post(path, json={}, headers=headers)
    assert response.status_code == 403, response.text
    assert "did not come from a page" in response.json()["error"]["what"]
    assert rater.get("/rating/next", project="default").status_code == 200


def test_a_form_of_a_foreign_page_signs_nobody_in(house: House) -> None:
    account = house.store.accounts.create("mallory", "rater", password="four words in a row", now=house.clock())
    token = house.store.accounts.new_link(account.rater_id, now=house.clock())
    victim = house.visitor()
    victim.page("/sign-in")
    own = victim.csrf
    stranger = house.visitor()
    stranger.page("/sign-in")
    for csrf in ("", stranger.csrf):
        for path in ("/sign-in", f"/enter/{token}"):
            data = {"csrf": csrf, "login": "mallory", "password": "four words in a row"}
            assert victim.client.post(path, data=data, follow_redirects=False).status_code == 403
    headers = {"sec-fetch-site": "cross-site"}
    assert victim.client.post(f"/enter/{token}", data={"csrf": own}, headers=headers).status_code == 403


def test_a_form_without_any_cookie_is_refused_even_with_the_right_value_for_none(house: House) -> None:
    from assent.web.context import csrf_of

    response = house.visitor().client.post("/sign-in", data={"csrf": csrf_of(None), "login": "a", "password": "b"})
    assert response.status_code == 403


def test_programs_rate_with_a_token_and_without_cookie_or_csrf(house: House) -> None:
    house.add_tasks(1)
    program = house.program()
    [item] = program.get("/rating/next", params={"project": "default"}).json()["items"]
    assert program.post("/rating/submit", json=ranking(item)).json()["status"] == "stored"


@pytest.mark.parametrize(
    "given", ["Bearer wrong", "Bearer ", "Basic YTpi", "Bearer a b", "bearer \xff", "Bearer ' OR 1=1"]
)
def test_a_wrong_token_is_refused_even_beside_a_good_cookie(house: House, given: str) -> None:
    rater = house.person()
    response = rater.client.get(
        "/rating/next", params={"project": "default"}, headers={"authorization": given.encode("latin-1")}
    )
    assert response.status_code == 401


def test_a_token_ends_when_revoked_or_over_and_gives_no_more_than_its_role(house: House) -> None:
    accounts = house.store.accounts
    admin = accounts.create("boss", "admin", now=house.clock())
    made = accounts.tokens.add(admin.rater_id, "small", role="rater", lifetime=60, now=house.clock())
    client = TestClient(house.app, headers={"authorization": f"Bearer {made.token}"}, raise_server_exceptions=False)
    assert client.get("/api/v1/me").status_code == 200
    account = accounts.tokens.account(made.token, now=house.clock())
    assert account is not None and account.role == "rater"
    house.clock.now += 61
    assert client.get("/api/v1/me").status_code == 401
    other = accounts.tokens.add(admin.rater_id, "t", now=house.clock())
    assert accounts.tokens.revoke(other.kept.id, now=house.clock())
    assert accounts.tokens.account(other.token, now=house.clock()) is None


def test_a_token_falls_with_the_role_of_its_account(house: House) -> None:
    accounts = house.store.accounts
    house.person("admin")
    second = accounts.create("second", "admin", now=house.clock())
    token = accounts.tokens.add(second.rater_id, "t", now=house.clock()).token
    accounts.change(second.rater_id, role="rater", now=house.clock())
    account = accounts.tokens.account(token, now=house.clock())
    assert account is not None and account.role == "rater"


@pytest.mark.parametrize("path", ["/sign-in", "/static/assent.css", "/nowhere", "/rating/next", "/rate/x", "/me"])
def test_every_answer_carries_the_headers(house: House, path: str) -> None:
    for headers in ({}, PAGE):
        response = house.visitor().client.get(path, headers=headers, follow_redirects=False)
        assert response.headers["content-security-policy"] == POLICY
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "server" not in response.headers
    assert "unsafe" not in POLICY and "frame-ancestors 'none'" in POLICY


def test_pages_hold_nothing_that_the_policy_forbids(house: House) -> None:
    house.add_tasks(1)
    admin = house.person("admin")
    pages = [house.visitor().page("/sign-in"), admin.page("/nowhere", status=404)]
    pages += [admin.page(path) for path in ("/", "/me", "/rate/default", "/guidelines/default")]
    for page in pages:
        scripts = re.findall(r"<script\b([^>]*)>", page)
        assert all("src=" in s or 'type="application/json"' in s for s in scripts)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|https?://", page)


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(house: House) -> None:
    account = house.store.accounts.create("anna", "rater", now=house.clock())
    response = house.visitor().enter(house.store.accounts.new_link(account.rater_id, now=house.clock()))
    cookie = next(c for c in response.headers.get_list("set-cookie") if c.startswith("assent_session="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Domain" not in cookie


def test_behind_tls_cookies_go_over_tls_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    with House.open(url, base_url="https://rate.example.org") as house:
        response = house.visitor().client.get("/sign-in")
        assert "Secure" in response.headers["set-cookie"]


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 3 * BODY_LIMIT])
@pytest.mark.parametrize("path", ["/rating/submit", "/me/password", "/me/profile", "/nowhere"])
def test_bodies_over_the_limit_are_refused_announced_or_not(house: House, size: int, path: str) -> None:
    rater = house.person()
    kind = "application/json" if path == "/rating/submit" else "application/x-www-form-urlencoded"

    def pieces() -> Iterator[bytes]:
        for _ in range(0, size, 65536):
            yield b" " * 65536
        yield b"x"

    for content in (b" " * size, pieces()):
        headers = {"content-type": kind, "x-csrf-token": rater.csrf}
        response = rater.client.post(path, content=content, headers=headers)
        assert response.status_code in ((413, 404) if path == "/nowhere" else (413,)), response.text
        assert set(response.json()["error"]) == {"what", "do"}


def test_a_body_just_below_the_limit_is_read(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    text = "ä" * 90_000
    ids = [a["id"] for a in item["answers"]]
    assert rater.post("/rating/submit", ranking(item, edits=dict.fromkeys(ids, text))).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "a@b", "127.0.0.1:9"])
def test_links_do_not_follow_the_host_header(tmp_path: Path, host: str) -> None:
    with House.open(f"sqlite:///{tmp_path}/feedback.db", base_url="http://127.0.0.1:8000") as house:
        visitor = house.visitor(host=host)
        response = visitor.client.get("/me", headers=PAGE, follow_redirects=False)
        assert host not in response.headers["location"]
        assert host not in visitor.page("/sign-in")
        assert house.app.state.context.link("/join/x") == "http://127.0.0.1:8000/join/x"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2fcli.py",
        "/static//etc/passwd",
        "/static/..\\app.py",
        "/static/.",
        "/static/",
        "/static/nothing.js",
        "/pages/layout.html",
    ],
)
def test_static_files_are_only_those_of_the_folder(house: House, path: str) -> None:
    response = house.visitor().client.get(path)
    assert response.status_code in (404, 405)
    assert "import" not in response.text and "root:" not in response.text


def test_static_files_under_their_version_may_be_kept_for_good(house: House) -> None:
    version = house.app.state.context.version
    client = house.visitor().client
    assert "immutable" in client.get(f"/static/{version}/assent.css").headers["cache-control"]
    assert "immutable" not in client.get("/static/assent.css").headers.get("cache-control", "")
    assert "no-store" in client.get("/sign-in").headers["cache-control"]


@pytest.mark.parametrize("path", ["/rate/%00", "/join/%00", "/sign-in?next=%00", "/rating/next?project=a%00b"])
def test_addresses_with_nul_are_refused(house: House, path: str) -> None:
    assert house.person().client.get(path).status_code == 400


@pytest.mark.parametrize("path", ["/rate/%ff%fe", "/enter/%F0%9F%92%A9", "/rate/{{7*7}}", "/join/" + "a" * 5000])
def test_strange_addresses_are_not_found_or_not_allowed(house: House, path: str) -> None:
    response = house.person().client.get(path, headers=PAGE)
    assert response.status_code in (403, 404)
    assert "49" not in re.sub(
        r"<head>.*?</head>|rater-\w+|/static/\w+|value=\"\w+\"", "", response.text, flags=re.DOTALL
    )


def test_a_browser_gets_a_page_that_says_what_and_what_to_do(house: House) -> None:
    page = house.person().page("/rate/nowhere", status=404)
    main = page.split('<main id="main"')[1]
    assert "there is no project" in main and "Choose one from the start page." in main


def test_an_error_of_ours_is_an_answer_without_its_details(house: House) -> None:
    rater = house.person()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    house.store.release = broken  # type: ignore[method-assign, assignment]
    response = rater.post("/rating/release", {})
    assert response.status_code == 500
    assert set(response.json()["error"]) == {"what", "do"}
    assert "secret" not in response.text
    assert "content-security-policy" in response.headers


def test_a_full_disk_is_said_without_saying_where(house: House) -> None:
    rater = house.person()

    def full(*_: object, **__: object) -> None:
        raise RunError("disk full while writing the store /home/anna/feedback.db")

    house.store.release = full  # type: ignore[method-assign, assignment]
    response = rater.post("/rating/release", {})
    assert response.status_code == 503
    assert "/home" not in response.text


@pytest.mark.parametrize(("method", "path"), [("PUT", "/rating/submit"), ("DELETE", "/me"), ("POST", "/rating/next")])
def test_other_methods_are_refused_in_the_same_form(house: House, method: str, path: str) -> None:
    rater = house.person()
    response = rater.client.request(method, path, headers={"x-csrf-token": rater.csrf})
    assert response.status_code == 405
    assert set(response.json()["error"]) == {"what", "do"}


def test_an_address_with_a_slash_too_many_is_not_repeated_with_the_client_s_host(house: House) -> None:
    response = house.visitor(host="evil.example").client.get("/sign-in/", follow_redirects=False)
    assert response.status_code == 404
    assert "evil.example" not in response.text + str(response.headers)


@pytest.mark.parametrize("path", ["/api/v1/projects/default/import", "/api/v1/tasks", "/admin/projects/default/tasks"])
def test_only_those_who_run_projects_may_send_much_at_once(house: House, path: str) -> None:
    house.add_tasks(1)
    body = b"x" * (BODY_LIMIT + 1)
    statuses = {
        role: house.program(role).post(path, content=body).status_code for role in ("rater", "adjudicator", "admin")
    }
    statuses["stranger"] = house.visitor().client.post(path, content=body).status_code
    assert {role for role, status in statuses.items() if status == 413} == {"rater", "adjudicator"}
    assert statuses["stranger"] == 401


@pytest.mark.parametrize("is_announced", [True, False])
def test_whose_session_ended_is_told_so_and_not_that_the_file_is_too_large(house: House, is_announced: bool) -> None:
    house.store.projects.save("p", ProjectSettings(), now=house.clock())
    admin = house.person("admin")
    rows = b"".join(json.dumps({"prompt": f"q{n}", "answers": ["a", "b" * 60_000]}).encode() + b"\n" for n in range(20))
    assert len(rows) > BODY_LIMIT

    def send() -> Any:
        content = rows if is_announced else iter([rows[:1000], rows[1000:]])
        headers = {"x-csrf-token": admin.csrf, "content-type": "application/jsonl"}
        return admin.client.post("/admin/projects/p/tasks?file=many.jsonl", content=content, headers=headers)

    house.clock.now += 15 * 86_400
    ended = send()
    assert ended.status_code == 401 and "sign in" in ended.json()["error"]["do"], ended.text
    assert house.store.task_ids(Queue("p")) == []
    assert admin.account is not None
    admin.enter(house.store.accounts.new_link(admin.account.rater_id, now=house.clock()))
    admin.page("/me")
    assert send().json() == {"added": 20, "known": 0}


def test_who_asks_is_looked_up_once_however_much_is_sent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.store.projects.save("p", ProjectSettings(), now=house.clock())
    program, asked = house.program("admin"), []
    account = ApiTokens.spoken_for
    monkeypatch.setattr(ApiTokens, "spoken_for", lambda *a, **k: asked.append(1) or account(*a, **k))
    for content in (b"x", b"x" * (2 * BODY_LIMIT)):
        asked.clear()
        assert program.post("/api/v1/projects/p/imports", content=content).status_code == 422
        assert len(asked) == 1
