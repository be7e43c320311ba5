"""Signing in: by password, by one-time link, by invitation; what is refused, how often, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest
from rating_visitors import House, Visitor

PASSWORD = "four words in a row"


def _password_person(house: House, login: str = "anna") -> None:
    house.store.accounts.create(login, "rater", password=PASSWORD, now=house.clock())


def _try(visitor: Visitor, login: str, password: str) -> int:
    visitor.page("/sign-in")
    status: int = visitor.send_form("/sign-in", login=login, password=password).status_code
    return status


def test_who_is_not_signed_in_is_led_to_the_door_and_back(house: House) -> None:
    _password_person(house)
    house.add_tasks()
    visitor = house.visitor()
    response = visitor.client.get("/rate/default", headers={"accept": "text/html"}, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=/rate/default")
    page = visitor.page("/sign-in?next=/rate/default")
    assert 'value="/rate/default"' in page
    response = visitor.send_form("/sign-in", login="Anna ", password=PASSWORD, next="/rate/default")
    assert (response.status_code, response.headers["location"]) == (303, "/rate/default")
    assert visitor.get("/rating/next", project="default").status_code == 200


@pytest.mark.parametrize(
    "there", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "/a\nb"]
)
def test_the_door_leads_nowhere_else(house: House, there: str) -> None:
    _password_person(house)
    visitor = house.visitor()
    visitor.page("/sign-in")
    assert visitor.send_form("/sign-in", login="anna", password=PASSWORD, next=there).headers["location"] == "/"


def test_scripts_are_told_401_in_json(house: House) -> None:
    response = house.visitor().get("/rating/next", project="default")
    assert response.status_code == 401
    assert response.json()["error"] == {"what": "you are not signed in", "do": "sign in, then try again"}


def test_a_wrong_password_and_an_unknown_name_are_told_alike(house: House) -> None:
    _password_person(house)
    visitor = house.visitor()
    visitor.page("/sign-in")
    answers = [
        visitor.send_form("/sign-in", login=login, password="nothing of the sort").text.replace(login, "LOGIN")
        for login in ("anna", "zzyzx")
    ]
    assert answers[0] == answers[1]


def test_an_account_without_password_has_no_password_to_guess(house: House) -> None:
    house.store.accounts.create("link-only", "rater", now=house.clock())
    assert [_try(house.visitor(), "link-only", password) for password in ("", "None", "null")] == [401, 401, 401]


def test_guessing_is_stopped_with_the_time_to_wait_and_ends_with_it(house: House) -> None:
    _password_person(house)
    visitor = house.visitor()
    assert [_try(visitor, "anna", f"guess number {n}") for n in range(10)] == [401] * 10
    visitor.page("/sign-in")
    house.clock.now += 100
    response = visitor.send_form("/sign-in", login="ANNA", password=PASSWORD)
    assert (response.status_code, response.headers["retry-after"]) == (429, "800")
    assert _try(house.visitor(), "berta", "another name is still heard") == 401
    house.clock.now += 801
    assert _try(visitor, "anna", PASSWORD) == 303


def test_many_people_of_one_house_join_and_guessed_names_are_stopped(house: House) -> None:
    made = house.store.accounts.invitations.add("rater", max_uses=200, now=house.clock())

    def join(name: str) -> int:
        visitor = house.visitor()
        visitor.page(f"/join/{made.token}")
        return visitor.send_form(f"/join/{made.token}", login=name).status_code

    assert [join(f"person-{n}") for n in range(70)] == [303] * 70
    assert [join("person-1") for _ in range(61)] == [422] * 60 + [429]


@pytest.mark.slow
def test_many_names_from_one_address_are_stopped_too(house: House) -> None:
    visitor = house.visitor()
    statuses = [_try(visitor, f"name-{n}", "x" * 12) for n in range(62)]
    assert statuses[:60] == [401] * 60
    assert statuses[60:] == [429, 429]


def test_somebody_who_mistypes_now_and_then_is_never_kept_out(house: House) -> None:
    _password_person(house)
    for _ in range(8):
        assert _try(house.visitor(), "anna", "mistyped, again") == 401
        assert _try(house.visitor(), "anna", PASSWORD) == 303


def test_a_link_signs_in_once_and_looking_at_it_does_not_use_it_up(house: House) -> None:
    account = house.store.accounts.create("anna", "rater", now=house.clock())
    token = house.store.accounts.new_link(account.rater_id, now=house.clock())
    first, second = house.visitor(), house.visitor()
    for _ in range(3):
        first.page(f"/enter/{token}")
    second.page(f"/enter/{token}")
    assert first.send_form(f"/enter/{token}").status_code == 303
    assert second.send_form(f"/enter/{token}").status_code == 404
    assert "used already" in second.page(f"/enter/{token}", status=404)


def test_a_link_is_over_after_a_day_and_dies_with_its_account(house: House) -> None:
    account = house.store.accounts.create("anna", "rater", now=house.clock())
    old, new = (house.store.accounts.new_link(account.rater_id, now=house.clock() + s) for s in (0, 86_400))
    house.clock.now += 86_401
    house.visitor().page(f"/enter/{old}", status=404)
    house.visitor().page(f"/enter/{new}")
    house.store.accounts.change(account.rater_id, is_disabled=True, now=house.clock())
    house.visitor().page(f"/enter/{new}", status=404)


def test_the_first_admin_is_made_once(house: House) -> None:
    token = house.store.accounts.first_admin(now=house.clock())
    assert token is not None
    assert house.store.accounts.first_admin(now=house.clock()) is None
    assert house.visitor().enter(token).headers["location"] == "/admin"
    again = house.store.accounts.admin_link(now=house.clock())
    assert house.visitor().enter(again).status_code == 303
    assert [a.role for a in house.store.accounts.all()] == ["admin"]


def test_an_invitation_makes_so_many_accounts_in_its_role_and_project(house: House) -> None:
    house.add_tasks()
    house.add_tasks(project="other")
    made = house.store.accounts.invitations.add("rater", project="other", max_uses=2, now=house.clock())
    visitors = [house.visitor() for _ in range(3)]
    for visitor in visitors:
        assert "other" in visitor.page(f"/join/{made.token}")
    statuses = [v.send_form(f"/join/{made.token}", login=f"guest{n}").status_code for n, v in enumerate(visitors)]
    assert statuses == [303, 303, 404]
    visitors[0].page("/me")
    assert visitors[0].get("/rating/next", project="other").status_code == 200
    assert visitors[0].get("/rating/next", project="default").status_code == 403
    account = house.store.accounts.by_login("guest0")
    assert account is not None
    assert (account.role, account.projects, account.has_password) == ("rater", ("other",), False)
    assert "guest0" not in account.rater_id


def test_a_taken_or_bad_name_uses_no_place_of_the_invitation_up(house: House) -> None:
    _password_person(house)
    made = house.store.accounts.invitations.add("rater", now=house.clock())
    visitor = house.visitor()
    visitor.page(f"/join/{made.token}")
    for login in ("Anna", "", "x", "two words", "<script>", "a" * 101, "\u202egnp", "{{7*7}}"):
        response = visitor.send_form(f"/join/{made.token}", login=login)
        assert response.status_code == 422, login
        assert "<script>" not in response.text.split('<main id="main"')[1]
    assert visitor.send_form(f"/join/{made.token}", login="berta", password="short").status_code == 422
    assert visitor.send_form(f"/join/{made.token}", login="berta", password=PASSWORD).status_code == 303
    assert _try(house.visitor(), "berta", PASSWORD) == 303


def test_an_invitation_ends_when_it_is_too_old_or_taken_back(house: House) -> None:
    invitations = house.store.accounts.invitations
    old = invitations.add("rater", lifetime=60, now=house.clock())
    back = invitations.add("rater", now=house.clock())
    assert invitations.revoke(back.kept.id, now=house.clock())
    assert not invitations.revoke(back.kept.id, now=house.clock())
    house.clock.now += 61
    for token in (old.token, back.token, "never-given-out", "' OR 1=1 --"):
        house.visitor().page(f"/join/{token}", status=404)


def test_somebody_who_is_signed_in_joins_another_project_without_rising(house: House) -> None:
    house.add_tasks()
    house.add_tasks(project="other")
    rater = house.person(projects=("default",))
    made = house.store.accounts.invitations.add("admin", project="other", now=house.clock())
    rater.page(f"/join/{made.token}")
    assert rater.send_form(f"/join/{made.token}").status_code == 303
    assert rater.account is not None
    account = house.store.accounts.get(rater.account.rater_id)
    assert account is not None
    assert (account.role, account.projects) == ("rater", ("default", "other"))


def test_a_session_rolls_on_while_used_and_ends_after_two_weeks_of_rest(house: House) -> None:
    rater = house.person()
    for _ in range(5):
        house.clock.now += 10 * 86_400
        assert rater.page("/me")
    house.clock.now += 14 * 86_400 + 1
    assert rater.get("/rating/next", project="default").status_code == 401


def test_signing_out_ends_the_session_itself_not_only_the_cookie(house: House) -> None:
    rater = house.person()
    cookie = rater.client.cookies["assent_session"]
    assert rater.send_form("/sign-out").status_code == 303
    thief = house.visitor(cookie=f"assent_session={cookie}")
    assert thief.get("/rating/next", project="default").status_code == 401


def test_signing_out_everywhere_ends_every_session(house: House) -> None:
    rater = house.person()
    other = house.visitor()
    assert rater.account is not None
    other.enter(house.store.accounts.new_link(rater.account.rater_id, now=house.clock()))
    other.page("/me")
    assert rater.send_form("/me/sign-out-everywhere").status_code == 303
    assert [v.get("/rating/next", project="default").status_code for v in (rater, other)] == [401, 401]


def test_a_new_password_wants_the_old_one_and_ends_other_sessions(house: House) -> None:
    rater, other = house.person(login="anna"), house.visitor()
    assert rater.account is not None
    assert rater.send_form("/me/password", new=PASSWORD).status_code == 303
    other.page("/sign-in")
    other.send_form("/sign-in", login="anna", password=PASSWORD)
    other.page("/me")
    assert other.send_form("/me/password", current="wrong guess", new="another one, longer").status_code == 403
    assert other.send_form("/me/password", current=PASSWORD, new="another one, longer").status_code == 303
    assert other.page("/me")
    assert rater.get("/rating/next", project="default").status_code == 401
    assert [_try(house.visitor(), "anna", p) for p in (PASSWORD, "another one, longer")] == [401, 303]


def test_disabling_an_account_ends_its_sessions_and_the_last_admin_stays(house: House) -> None:
    admin, rater = house.person("admin"), house.person()
    assert admin.account is not None and rater.account is not None
    house.store.accounts.change(rater.account.rater_id, is_disabled=True, now=house.clock())
    assert rater.get("/rating/next", project="default").status_code == 401
    with pytest.raises(Exception, match="last admin"):
        house.store.accounts.change(admin.account.rater_id, role="rater", now=house.clock())
    assert admin.page("/me")


def test_nothing_that_lets_somebody_in_is_kept_in_plain(house: House, tmp_path: Path) -> None:
    account = house.store.accounts.create("anna", "admin", password=PASSWORD, now=house.clock())
    accounts = house.store.accounts
    secrets = [
        PASSWORD,
        accounts.new_link(account.rater_id, now=house.clock()),
        accounts.start_session(account.rater_id, now=house.clock()),
        accounts.tokens.add(account.rater_id, "t", now=house.clock()).token,
        accounts.invitations.add("rater", now=house.clock()).token,
    ]
    kept = b"".join((tmp_path / f"feedback.db{end}").read_bytes() for end in ("", "-wal"))
    assert b"$argon2id$" in kept
    assert not [secret for secret in secrets if secret.encode() in kept]
