"""Accounts over the API: who may sign in is read and changed by admins, and one of them always stays."""

from __future__ import annotations

from typing import Any

import pytest
from rating_visitors import House

from assent.feedback.records.settings import ProjectSettings

ACCOUNTS = "/api/v1/accounts"


def test_roles_projects_and_bars_are_changed_one_by_one(house: House) -> None:
    for name in ("p", "q"):
        house.store.projects.save(name, ProjectSettings(), now=house.clock())
    anna = house.person("rater", "anna", projects=("p",))
    assert anna.account is not None
    admin, own = house.program("admin"), f"{ACCOUNTS}/{anna.account.rater_id}"
    [listed] = [one for one in admin.get(ACCOUNTS).json() if one["login"] == "anna"]
    assert (listed["role"], listed["projects"], listed["disabled_at"]) == ("rater", ["p"], None)
    assert "password_hash" not in listed

    def change(**what: Any) -> dict[str, Any]:
        answer = admin.patch(own, json=what)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert change(role="adjudicator") == {**listed, "role": "adjudicator"}
    assert change(projects=["q"])["projects"] == ["q"]
    assert change(projects=None)["projects"] is None, "null is everywhere"
    assert change()["projects"] is None
    assert anna.get("/rating/next", project="q").status_code == 200
    assert change(is_disabled=True)["disabled_at"] == house.clock()
    assert anna.get("/rating/next", project="q").status_code == 401
    assert change(is_disabled=False)["disabled_at"] is None
    link = admin.post(f"{own}/link").json()
    assert link["expires_at"] > house.clock()
    assert house.visitor().enter(link["link"].rpartition("/")[2]).status_code == 303


@pytest.mark.parametrize("body", [{"role": "king"}, {"login": "x"}, {"projects": "p"}, {"is_disabled": "maybe"}])
def test_what_is_no_change_of_an_account_is_refused(house: House, body: dict[str, Any]) -> None:
    anna = house.person("rater", "anna")
    assert anna.account is not None
    assert house.program("admin").patch(f"{ACCOUNTS}/{anna.account.rater_id}", json=body).status_code == 422
    assert house.store.accounts.get(anna.account.rater_id) == anna.account


def test_addresses_are_said_with_accounts_and_invitations(house: House) -> None:
    anna, admin = house.person("rater", "anna"), house.program("admin")
    assert anna.account is not None
    own = f"{ACCOUNTS}/{anna.account.rater_id}"
    assert admin.patch(own, json={"email": "Anna@Example.org"}).json()["email"] == "anna@example.org"
    assert admin.patch(own, json={"role": "adjudicator"}).json()["email"] == "anna@example.org", (
        "what is left out stays"
    )
    refused = admin.patch(own, json={"role": "admin", "email": "no address"})
    assert refused.status_code == 422 and "is no e-mail address" in refused.text
    assert admin.get(ACCOUNTS).json()[0]["role"] == "adjudicator", "nothing of it was done"
    made = admin.post("/api/v1/invitations", json={"email": "ben@example.org"}).json()
    assert made["email"] == "ben@example.org" and "/join/" in made["link"]
    assert admin.post("/api/v1/invitations", json={"email": "ben@example.org", "max_uses": 2}).status_code == 422
    assert admin.patch(own, json={"email": None}).json()["email"] is None


def test_accounts_and_projects_that_are_not_there_are_not_found(house: House) -> None:
    admin, anna = house.program("admin"), house.person("rater", "anna")
    assert anna.account is not None
    assert admin.patch(f"{ACCOUNTS}/r-nobody", json={"role": "admin"}).status_code == 404
    assert admin.post(f"{ACCOUNTS}/r-nobody/link").status_code == 404
    own = f"{ACCOUNTS}/{anna.account.rater_id}"
    assert admin.patch(own, json={"role": "admin", "projects": ["nowhere"]}).status_code == 404
    assert house.store.accounts.get(anna.account.rater_id) == anna.account, "nothing of it was done"


def test_the_last_admin_is_neither_barred_nor_lowered_nor_erased(house: House) -> None:
    admin = house.program("admin")
    me = admin.get("/api/v1/me").json()["rater_id"]
    for body in ({"is_disabled": True}, {"role": "rater"}):
        refused = admin.patch(f"{ACCOUNTS}/{me}", json=body)
        assert refused.status_code == 422 and "last admin" in refused.text
    assert admin.delete(f"/api/v1/raters/{me}").status_code == 409
    other = house.person("admin")
    assert other.account is not None
    assert admin.delete(f"/api/v1/raters/{me}").status_code == 200, "another one is there"
    assert [one.rater_id for one in house.store.accounts.all() if one.role == "admin"] == [other.account.rater_id]
