"""The security log: every sign-in, refusal and deed of an admin leaves a line, without words of people."""

from __future__ import annotations

import json

import pytest
from rating_visitors import House, Visitor

from assent.core.errors import StoreError
from assent.feedback.people.events import Event
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.terminal import note
from assent.web.rules import RULES
from assent.web.trail import MOST_REFUSALS

PASSWORD = "four words in a row"


def _kinds(house: House, **where: str) -> list[str]:
    return [event.what for event in house.store.events.find(**where)]


def _sign_in(visitor: Visitor, login: str, password: str) -> None:
    visitor.page("/sign-in")
    visitor.send_form("/sign-in", login=login, password=password)


def test_sign_ins_are_told_right_from_wrong_and_from_too_many(house: House) -> None:
    account = house.store.accounts.create("anna", "rater", password=PASSWORD, now=house.clock())
    visitor = house.visitor()
    _sign_in(visitor, "anna", PASSWORD)
    for _ in range(12):
        _sign_in(house.visitor(), "anna", "a wrong password")
    _sign_in(house.visitor(), "nobody", "a wrong password")
    events = house.store.events.find(limit=50)
    kinds = [event.what for event in reversed(events)]
    assert kinds == ["sign_in.right", *["sign_in.wrong"] * 10, *["sign_in.limited"] * 2, "sign_in.wrong"]
    assert {event.account for event in events} == {account.rater_id, None}
    assert len({event.address for event in events}) == 1 and "testclient" not in str(events)


def test_what_an_admin_does_is_kept_with_whom_and_what(house: House) -> None:
    admin, rater = house.person("admin"), house.person(login="anna")
    assert admin.account is not None and rater.account is not None
    one = rater.account.rater_id
    admin.page("/admin/people")
    admin.send_form("/admin/person/change", id=one, role="adjudicator", all="yes")
    admin.send_form("/admin/person/link", id=one)
    admin.send_form("/admin/tokens", account=one, name="a name", role="rater", days="3")
    admin.send_form("/admin/projects", name="new", title="x")
    admin.send_form("/admin/projects/new/open", is_open="no")
    admin.send_form("/admin/person/disable", id=one, disabled="yes")
    mine = house.store.events.find(account=admin.account.rater_id)
    done = [(event.what, event.about, event.project) for event in reversed(mine) if event.what != "sign_in.link"]
    assert done == [
        ("account.changed", one, None),
        ("link.made", one, None),
        ("token.made", one, None),
        ("project.made", "new", None),
        ("project.settings", "", "new"),
        ("account.disabled", one, None),
    ]


def test_programs_are_named_by_their_token_and_failures_of_admins_leave_nothing(house: House) -> None:
    program = house.program("admin")
    house.store.projects.save("p", ProjectSettings(), now=house.clock())
    assert program.patch("/api/v1/projects/p", json={"settings": {"overlap": 2}}).status_code == 200
    assert program.patch("/api/v1/projects/p", json={"settings": {"overlap": -2}}).status_code == 422
    assert program.post("/api/v1/webhooks", json={"url": "nothing"}).status_code == 422
    [event] = house.store.events.find()
    assert (event.what, event.project, event.program) == ("project.settings", "p", 1)


def test_refusals_of_people_are_kept_and_a_flood_of_them_is_not(house: House) -> None:
    rater = house.person()
    for _ in range(3 * MOST_REFUSALS):
        assert rater.get("/admin/people").status_code == 403
    refused = house.store.events.find(what="refused.", limit=1000)
    assert len(refused) == MOST_REFUSALS
    assert refused[0].about == "GET /admin/people" and refused[0].account == rater.account.rater_id  # type: ignore[union-attr]


def test_erasing_leaves_a_tombstone_and_no_pseudonym_in_the_log(house: House) -> None:
    admin, rater, other = house.person("admin"), house.person(), house.person()
    for one in (rater, other):
        assert one.account is not None
        assert one.get("/admin/people").status_code == 403
    mine, theirs = rater.account.rater_id, other.account.rater_id  # type: ignore[union-attr]
    rater.send_form("/me/erase", confirmation="erase")
    admin.page("/admin/people")
    assert admin.send_form("/admin/person/erase", id=theirs, again=theirs).status_code == 200
    said = str(house.store.events.find(limit=1000))
    assert mine not in said and theirs not in said
    assert [event.about.partition("-")[0] for event in house.store.events.find(what="account.erased")] == ["erased"] * 2


def test_events_end_after_the_days_that_an_admin_says(house: House) -> None:
    admin = house.person("admin")
    house.clock.now += 100 * 86_400
    late = house.person("admin")
    late.page("/admin/log")
    assert late.send_form("/admin/log", days="30").status_code == 303
    assert len(house.store.events.find(what="sign_in.")) == 1
    assert late.send_form("/admin/log", days="0").status_code == 422
    with pytest.raises(StoreError, match="take 1 to 3650"):
        house.store.events.keep_for(4000, now=house.clock())
    assert admin.account is not None


def test_the_page_filters_and_the_download_holds_every_event(house: House) -> None:
    admin = house.person("admin", "boss")
    for n in range(130):
        house.store.events.record(Event("task.added", account="r-x", about=f"<b>{n}</b>"), now=house.clock())
    page = admin.page("/admin/log?what=task.")
    assert "boss</a></td>" not in page and "&lt;b&gt;129" in page and "<b>129" not in page
    assert "&lt;b&gt;5&lt;" not in page and "&lt;b&gt;5&lt;" in admin.page("/admin/log?what=task.&before=40")
    lines = [json.loads(line) for line in admin.get("/admin/log/file", what="task.").text.splitlines()]
    assert len(lines) == 130 and lines[0]["at_utc"].startswith("2027-01-15")
    assert _kinds(house, what="log.") == ["log.exported"]
    shown = admin.get("/api/v1/events", what="task.", limit=100).json()
    rest = admin.get("/api/v1/events", what="task.", limit=100, cursor=shown["next"]).json()
    assert len(shown["items"]) + len(rest["items"]) == 130 and rest["next"] is None


def test_commands_on_the_server_are_on_the_page_and_in_the_download(house: House) -> None:
    note(house.store.events, "feedback export", about="with attributes", project="p")
    admin = house.person("admin")
    page = admin.page("/admin/log?what=command.")
    who = house.store.events.find(what="command.")[0].account
    assert who is not None and who.startswith("os:") and f">{who}</a>" in page
    assert "Command line <span" in page and ">feedback export</span>" in page
    [line] = admin.get("/admin/log/file", what="command.").text.splitlines()
    assert json.loads(line)["account"] == who and json.loads(line)["what"] == "command.feedback export"


def test_every_deed_of_an_admin_has_a_word_in_the_log() -> None:
    silent = [
        name for name, rule in RULES.items() if rule.who == "admin" and not name.startswith("GET") and not rule.log
    ]
    assert not silent
