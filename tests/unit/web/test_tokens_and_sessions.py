"""What a token, a link and a session give and when they end: no token is a person, and nothing outlives its owner."""

from __future__ import annotations

from typing import Any

import pytest
from rating_visitors import House, Visitor
from starlette.testclient import TestClient

from assent.feedback.people.accounts import DAY, LONGEST_SESSION
from assent.feedback.records.people import Role

API = "/api/v1"
PASSWORD, OTHER = "four words in a row", "another one, longer"


def _program(house: House, token: str) -> TestClient:
    return TestClient(house.app, raise_server_exceptions=False, headers={"authorization": f"Bearer {token}"})


def _token_of(house: House, owner: Visitor, role: Role, **more: Any) -> Any:
    assert owner.account is not None
    return house.store.accounts.tokens.add(owner.account.rater_id, "t", role=role, now=house.clock(), **more)


def _rater_id(visitor: Visitor) -> str:
    assert visitor.account is not None
    return visitor.account.rater_id


BROWSER = ["/me/password", "/me/erase", "/me/profile", "/me/sign-out-everywhere", "/language", "/sign-out", "/sign-in"]


@pytest.mark.parametrize("path", BROWSER)
def test_a_token_is_never_a_browser_session(house: House, path: str) -> None:
    admin = house.person("admin")
    program = _program(house, _token_of(house, admin, "rater").token)
    data = {"new": "attacker chose this", "confirmation": "erase", "language": "de", "csrf": "", "login": "a"}
    response = program.post(path, data=data, follow_redirects=False)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers
    assert house.store.accounts.get(_rater_id(admin)) == admin.account
    assert admin.get("/admin/people").status_code == 200


def test_a_weak_token_erases_nobody_and_ends_no_stronger_one(house: House) -> None:
    house.person("admin")
    owner = house.person("admin")
    strong, weak = _token_of(house, owner, "admin"), _token_of(house, owner, "rater")
    program = _program(house, weak.token)
    assert program.delete(f"{API}/raters/{_rater_id(owner)}").status_code == 403
    assert program.delete(f"{API}/tokens/{strong.kept.id}").status_code == 403
    assert _program(house, strong.token).get(f"{API}/me").json()["role"] == "admin"
    assert program.delete(f"{API}/tokens/{weak.kept.id}").json() == {"removed": True}
    assert program.get(f"{API}/me").status_code == 401


def test_a_token_that_asks_for_another_gives_no_more_and_no_longer(house: House) -> None:
    admin = house.person("admin")
    program = _program(house, _token_of(house, admin, "admin", lifetime=60).token)
    for wanted in ({}, {"lifetime_seconds": 10 * DAY}):
        made = program.post(f"{API}/tokens", json={"name": "child", **wanted}).json()
        assert made["expires_at"] == house.clock() + 60
    grandchild = _program(house, made["token"]).post(f"{API}/tokens", json={"name": "g", "role": "rater"}).json()
    assert _program(house, grandchild["token"]).get(f"{API}/me").json()["role"] == "rater"
    house.clock.now += 61
    assert [_program(house, t["token"]).get(f"{API}/me").status_code for t in (made, grandchild)] == [401, 401]


@pytest.mark.parametrize("how", ["revoked", "disabled", "erased", "demoted"])
def test_a_token_falls_with_the_one_that_asked_for_it(house: House, how: str) -> None:
    """Also where it acts for somebody else, and the account that asked is gone."""
    house.person("admin")
    owner, other = house.person("admin"), house.person("admin")
    parent = _token_of(house, owner, "admin")
    body = {"name": "child", "rater_id": _rater_id(other)}
    child = _program(house, _program(house, parent.token).post(f"{API}/tokens", json=body).json()["token"])
    assert child.get(f"{API}/me").json()["role"] == "admin"
    accounts = house.store.accounts
    match how:
        case "revoked":
            accounts.tokens.revoke(parent.kept.id, now=house.clock())
        case "disabled":
            accounts.change(_rater_id(owner), is_disabled=True, now=house.clock())
        case "erased":
            house.store.erase_rater(_rater_id(owner), now=house.clock())
        case "demoted":
            accounts.change(_rater_id(owner), role="rater", now=house.clock())
            assert child.get(f"{API}/me").json()["role"] == "rater"
            return
    assert child.get(f"{API}/me").status_code == 401


def test_disabling_ends_tokens_and_links_for_good(house: House) -> None:
    house.person("admin")
    rater = house.person()
    token, link = (
        _token_of(house, rater, "rater").token,
        house.store.accounts.new_link(_rater_id(rater), now=house.clock()),
    )
    for is_disabled in (True, False):
        house.store.accounts.change(_rater_id(rater), is_disabled=is_disabled, now=house.clock())
    assert _program(house, token).get(f"{API}/me").status_code == 401
    house.visitor().page(f"/enter/{link}", status=404)


@pytest.mark.parametrize("how", ["/me/password", "/me/sign-out-everywhere"])
def test_links_and_tokens_end_with_the_password_and_with_signing_out_everywhere(house: House, how: str) -> None:
    rater = house.person(login="anna")
    assert rater.send_form("/me/password", new=PASSWORD).status_code == 303
    rater.page("/me")
    token = _token_of(house, rater, "rater").token
    link = house.store.accounts.new_link(_rater_id(rater), now=house.clock())
    assert rater.send_form(how, current=PASSWORD, new=OTHER).status_code == 303
    assert _program(house, token).get(f"{API}/me").status_code == 401
    house.visitor().page(f"/enter/{link}", status=404)


def test_a_new_link_closes_the_earlier_one(house: House) -> None:
    account = house.store.accounts.create("anna", "rater", now=house.clock())
    old, new = (house.store.accounts.new_link(account.rater_id, now=house.clock()) for _ in range(2))
    house.visitor().page(f"/enter/{old}", status=404)
    house.visitor().page(f"/enter/{new}")


def test_a_forgotten_password_is_replaced_once_after_a_fresh_link(house: House) -> None:
    account = house.store.accounts.create("anna", "rater", password=PASSWORD, now=house.clock())
    visitor = house.visitor()
    visitor.enter(house.store.accounts.new_link(account.rater_id, now=house.clock()))
    page = visitor.page("/me")
    assert 'id="current"' not in page
    assert visitor.send_form("/me/password", new=OTHER).status_code == 303
    visitor.page("/me")
    assert visitor.send_form("/me/password", new="a third of those, long").status_code == 403  # once
    late = house.visitor()
    late.enter(house.store.accounts.new_link(account.rater_id, now=house.clock()))
    house.clock.now += 901
    late.page("/me")
    assert late.send_form("/me/password", new="a third of those, long").status_code == 403
    assert late.send_form("/me/password", current=OTHER, new="a third of those, long").status_code == 303


def test_a_session_of_old_sets_no_first_password(house: House) -> None:
    rater = house.person()
    house.clock.now += DAY
    assert "come in by a new one-time link" in rater.page("/me")
    assert rater.send_form("/me/password", new=PASSWORD).status_code == 403


def test_an_admin_takes_a_password_away_and_everything_that_came_by_it(house: House) -> None:
    admin, rater = house.person("admin"), house.person(login="anna")
    assert rater.send_form("/me/password", new=PASSWORD).status_code == 303
    assert rater.get("/api/v1/me").status_code == 200
    admin.page(f"/admin/person?id={_rater_id(rater)}")
    assert admin.send_form("/admin/person/credential", id=_rater_id(rater), what="password").status_code == 303
    assert rater.get("/api/v1/me").status_code == 401
    visitor = house.visitor()
    visitor.page("/sign-in")
    assert visitor.send_form("/sign-in", login="anna", password=PASSWORD).status_code == 401


def test_people_see_and_end_their_own_devices_and_tokens(house: House) -> None:
    rater, other, stranger = house.person(login="anna"), house.visitor(**{"user-agent": "Old phone"}), house.person()
    other.enter(house.store.accounts.new_link(_rater_id(rater), now=house.clock()))
    admin_made = _token_of(house, rater, "rater")
    page = rater.page("/me")
    assert "Old phone" in page and "This device" in page and f"/me/tokens/{admin_made.kept.id}/end" in page
    [phone] = [s for s in house.store.accounts.sessions(_rater_id(rater), now=house.clock()) if s.client == "Old phone"]
    for path in (f"/me/sessions/{phone.id}/end", f"/me/tokens/{admin_made.kept.id}/end"):
        assert stranger.send_form(path).status_code in (404, 422)
        assert rater.send_form(path).status_code == 303
    assert other.get("/api/v1/me").status_code == 401
    assert _program(house, admin_made.token).get("/api/v1/me").status_code == 401


def test_a_session_ends_at_last_however_much_it_is_used(house: House) -> None:
    rater, days = house.person(), 0
    while rater.get("/api/v1/me").status_code == 200:
        house.clock.now += 5 * DAY
        days += 5
    assert days == LONGEST_SESSION / DAY


def test_a_session_that_began_while_the_clock_was_ahead_ends_too(house: House) -> None:
    house.clock.now += 365 * DAY
    rater = house.person()
    house.clock.now -= 365 * DAY
    assert rater.get("/api/v1/me").status_code == 200
    house.clock.now += 15 * DAY
    assert rater.get("/api/v1/me").status_code == 401


def test_leaving_forgets_what_the_browser_kept(house: House) -> None:
    leaving, erased = house.person(), house.person()
    assert leaving.send_form("/sign-out").headers["clear-site-data"] == '"storage"'
    assert erased.send_form("/me/erase", confirmation="erase").headers["clear-site-data"] == '"storage"'


def test_erasing_oneself_wants_the_password_where_there_is_one(house: House) -> None:
    rater = house.person(login="anna")
    rater.send_form("/me/password", new=PASSWORD)
    rater.page("/me")
    assert rater.send_form("/me/erase", confirmation="erase", current="a wrong one, long").status_code == 403
    assert house.store.accounts.by_login("anna") is not None
    assert rater.send_form("/me/erase", confirmation="erase", current=PASSWORD).status_code == 200
    assert house.store.accounts.by_login("anna") is None
