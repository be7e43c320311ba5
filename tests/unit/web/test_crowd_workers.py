"""Crowd workers: an id in the address, one account each, so many judgments, known answers first, a code at the end."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from rating_visitors import House, Visitor, a_task, ranking

from assent.core.types import Ranking
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings

STUDY = ProjectSettings(
    overlap_share=0,
    newcomer_tasks=0,
    newcomer_overlap=1,
    gold_share=0,
    repeat_share=0,
    participant_parameters=("PROLIFIC_PID", "STUDY_ID", "SESSION_ID"),
    judgments_per_person=3,
    completion_code="C0DE-42",
    completion_url="https://app.example.org/submissions/complete?cc=C0DE-42",
)


@pytest.fixture
def link(house: House) -> str:
    """An invitation to a study of six tasks, for two people."""
    house.store.projects.save("default", STUDY, now=house.clock())
    house.add_tasks(6, slots=9)
    made = house.store.accounts.invitations.add("rater", project="default", max_uses=2, now=house.clock())
    return f"/join/{made.token}"


def _come(house: House, link: str, query: str) -> Visitor:
    visitor = house.visitor()
    page = visitor.page(f"{link}?{query}")
    assert 'name="login"' not in page
    found = re.search(r'action="(/join[^"]*)"', page)
    assert found is not None
    response = visitor.send_form(html.unescape(found[1]))
    assert (response.status_code, response.headers.get("location")) == (303, "/rate/default"), response.text
    visitor.page("/rate/default")
    return visitor


def _judge(rater: Visitor) -> int:
    """Judge until nothing is given; how many."""
    done = 0
    while items := rater.next(limit=3):
        assert rater.post("/rating/submit", ranking(items[0])).status_code == 200
        done += 1
    return done


def _over(rater: Visitor) -> Any:
    return rater.get("/rating/next", project="default").json()["over"]


def test_a_worker_is_asked_no_name_stops_after_so_many_and_gets_code_and_address(house: House, link: str) -> None:
    worker = _come(house, link, "PROLIFIC_PID=5f1a&STUDY_ID=S1&SESSION_ID=X1")
    assert worker.get("/rating/next", project="default", limit=1).json()["progress"]["waiting"] == 2
    assert "C0DE-42" not in worker.page("/rate/default")
    assert "C0DE" not in worker.get("/api/v1/projects/default").text + worker.get("/api/v1/projects").text
    assert _judge(worker) == 3
    assert _over(worker) == {"why": "limit", "code": "C0DE-42", "url": STUDY.completion_url}
    page = html.unescape(worker.page("/rate/default"))
    assert "C0DE-42" in page and STUDY.completion_url in page and "You have done your part." in page


def test_the_same_id_comes_back_to_the_same_account_also_when_the_invitation_is_used_up(
    house: House, link: str
) -> None:
    for query in ("PROLIFIC_PID=a1&STUDY_ID=S1", "PROLIFIC_PID=b2", "PROLIFIC_PID=a1&STUDY_ID=S2", "PROLIFIC_PID=A1"):
        if query.endswith("A1"):  # another id: ids are compared letter by letter
            visitor = house.visitor()
            visitor.page(f"{link}?{query}")
            assert visitor.send_form(f"{link}?{query}").status_code == 404
            continue
        _judge(_come(house, link, query))
    came = {a.participant.external_id: a for a in house.store.accounts.all() if a.participant}
    assert sorted(came) == ["a1", "b2"]
    assert came["a1"].participant is not None and came["a1"].participant.details == {"STUDY_ID": "S2"}
    assert len(house.store.judgments(Queue())) == 6
    assert house.store.accounts.invitations.all()[0].uses == 2


@pytest.mark.parametrize(
    "query",
    ["", "STUDY_ID=S1", "PROLIFIC_PID=", "PROLIFIC_PID={{%25PROLIFIC_PID%25}}", "PROLIFIC_PID==1", "workerId=A"],
)
def test_an_address_without_a_usable_id_makes_no_account(house: House, link: str, query: str) -> None:
    visitor = house.visitor()
    assert "PROLIFIC_PID" in visitor.page(f"{link}?{query}", status=422)
    visitor.page("/sign-in")
    assert visitor.send_form(f"{link}?{query}", login="anna").status_code == 422
    assert house.store.accounts.all() == []


def test_the_parameters_of_other_platforms_are_named_by_the_project(house: House, link: str) -> None:
    names = ("workerId", "assignmentId", "hitId")
    settings = STUDY.model_copy(update={"participant_parameters": names, "completion_url": ""})
    house.store.projects.save("default", settings, now=house.clock())
    worker = _come(house, link, "hitId=H&assignmentId=3ABC&workerId=A2ZX")
    _judge(worker)
    assert _over(worker)["url"] == ""
    response = house.program("admin").get("/api/v1/projects/default/participants")
    assert response.status_code == 200, response.text
    (one,) = response.json()
    assert one["participant"] == {
        "source": "workerId",
        "external_id": "A2ZX",
        "details": {"assignmentId": "3ABC", "hitId": "H"},
    }
    assert (one["judgments"], one["seconds"]) == (3, 37.5)
    admin = house.person("admin")
    assert "workerId,A2ZX,C0DE-42,3," in admin.page("/admin/work.csv?project=default")
    assert "workerId,A2ZX" not in admin.page("/admin/work.csv?last=2000-01-01")
    assert "A2ZX" in admin.page("/admin/people?find=a2z")
    assert "A2ZX" in admin.page(f"/admin/person?id={one['rater_id']}")


def test_an_id_opens_no_account_that_may_do_more_or_has_a_password_or_was_disabled(house: House, link: str) -> None:
    accounts = house.store.accounts
    for change in ("role", "password", "disabled"):
        query = f"PROLIFIC_PID={change}"
        if change != "disabled":
            _come(house, link, query)
        else:
            made = accounts.invitations.add("rater", project="default", now=house.clock())
            link = f"/join/{made.token}"
            _come(house, link, query)
        (account,) = [a for a in accounts.all() if a.participant and a.participant.external_id == change]
        match change:
            case "role":
                accounts.change(account.rater_id, role="admin", now=house.clock())
                accounts.create("boss", "admin", now=house.clock())
            case "password":
                accounts.set_password(account.rater_id, "a long enough password 42", now=house.clock())
            case _:
                accounts.change(account.rater_id, is_disabled=True, now=house.clock())
        visitor = house.visitor()
        visitor.page(f"{link}?{query}")
        response = visitor.send_form(f"{link}?{query}")
        assert response.status_code == 422 and "set-cookie" not in {k for k in response.headers if "session" in k}
        assert visitor.get("/rating/next", project="default").status_code == 401


def test_whoever_is_signed_in_as_another_goes_on_as_the_participant(house: House, link: str) -> None:
    other = house.person(login="anna")
    other.page(f"{link}?PROLIFIC_PID=p1")
    assert other.send_form(f"{link}?PROLIFIC_PID=p1").status_code == 303
    me = other.get("/api/v1/me").json()
    assert me["login"].startswith("participant-") and me["projects"] == ["default"]


def test_nothing_left_ends_the_part_of_whoever_did_something(house: House, link: str) -> None:
    worker, late = _come(house, link, "PROLIFIC_PID=a"), _come(house, link, "PROLIFIC_PID=b")
    [item] = worker.next()
    worker.post("/rating/submit", ranking(item))
    for n in range(6):
        house.store.studies.want({f"default-{n}": 0})
    assert _over(worker) == {"why": "nothing", "code": "C0DE-42", "url": STUDY.completion_url}
    assert _over(late) is None  # tasks may come: nobody is paid for a look


def _qualify(house: House, *, wanted: int, gold: int) -> None:
    settings = STUDY.model_copy(update={"qualification_tasks": wanted, "qualification_pass": 0.6})
    house.store.projects.save("default", settings, now=house.clock())
    for n in range(100, 100 + gold):
        task = a_task(n, answers=2)
        house.store.add_tasks([task], slots=0, now=house.clock())
        first, second = (one.id for one in task.completions)
        house.store.projects.set_gold(task.id, Ranking(tiers=((first,), (second,))), now=house.clock())


def _answer(worker: Visitor, item: dict[str, Any], *, is_right: bool) -> None:
    texts = {one["text"]: one["id"] for one in item["answers"]}
    order = sorted(texts, reverse=not is_right)  # "answer 0 to …" is the better one
    said = ranking(item) | {"ranking": {"tiers": [[texts[text]] for text in order]}}
    assert worker.post("/rating/submit", said).status_code == 200


@pytest.mark.parametrize(("right", "is_passed"), [(2, True), (1, False)])
def test_known_answers_come_first_and_decide_once_who_goes_on(
    house: House, link: str, right: int, is_passed: bool
) -> None:
    _qualify(house, wanted=3, gold=5)
    worker = _come(house, link, "PROLIFIC_PID=a")
    items = worker.next(limit=9)
    assert len(items) == 3 and all(int(item["task_id"].split("-")[1]) >= 100 for item in items)
    for n, item in enumerate(items):
        assert len(worker.next(limit=9)) == 3 - n
        _answer(worker, item, is_right=n < right)
    after = worker.next(limit=9)
    assert len(after) == (3 if is_passed else 0)
    assert all(int(item["task_id"].split("-")[1]) < 100 for item in after)
    (state,) = house.program("admin").get("/api/v1/projects/default/participants").json()
    assert (state["is_passed"], state["score"]) == (is_passed, pytest.approx(right / 3))
    if is_passed:
        assert _judge(worker) == 3  # the qualification is no part of the three
        assert _over(worker)["why"] == "limit"
        return
    assert _over(worker) == {"why": "unqualified", "code": "", "url": ""}
    assert "C0DE" not in worker.page("/rate/default")
    changed = worker.get("/rating/recent", project="default").json()["items"][0]
    _correct(worker, changed)
    assert worker.next() == []  # decided is decided
    rater_id = state["rater_id"]
    path = f"/api/v1/projects/default/qualifications/{rater_id}"
    assert house.program("admin").put(path, json={"is_passed": True}).status_code == 200
    assert len(worker.next()) == 1


def _correct(worker: Visitor, item: dict[str, Any]) -> None:
    texts = {one["text"]: one["id"] for one in item["answers"]}
    said = ranking(item) | {"ranking": {"tiers": [[texts[t]] for t in sorted(texts)]}}
    assert worker.post("/rating/submit", said | {"supersedes": item["judgment"]["id"]}).status_code == 200


def test_fewer_known_answers_than_wanted_are_asked_all_and_none_ask_nothing(house: House, link: str) -> None:
    _qualify(house, wanted=3, gold=1)
    worker = _come(house, link, "PROLIFIC_PID=a")
    [item] = worker.next(limit=9)
    _answer(worker, item, is_right=True)
    assert len(worker.next(limit=9)) == 3
    house.store.studies.set_aside(["default-100"], now=house.clock())
    assert len(_come(house, link, "PROLIFIC_PID=b").next(limit=9)) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("completion_url", "http://example.org"),
        ("completion_url", "javascript:alert(1)"),
        ("completion_url", "https://"),
        ("completion_url", "https://user:word@example.org/"),
        ("completion_url", 'https://example.org/"onclick="x'),
        ("completion_url", "https://example.org:port/"),
        ("participant_parameters", ["a b"]),
        ("participant_parameters", ["a", "a"]),
        ("judgments_per_person", 0),
        ("qualification_pass", 1.5),
        ("timezone", "Middle/Earth"),
        ("timezone", "../etc/passwd"),
    ],
)
def test_settings_that_cannot_work_are_refused(house: House, link: str, name: str, value: Any) -> None:
    response = house.program("admin").patch("/api/v1/projects/default", json={"settings": {name: value}})
    assert response.status_code == 422, response.text


def test_the_form_of_settings_holds_them_all(house: House, link: str) -> None:
    admin = house.person("admin")
    page = html.unescape(admin.page("/admin/projects/default/settings"))
    assert 'value="PROLIFIC_PID STUDY_ID SESSION_ID"' in page and "/admin/work.csv?project=default" in page
    fields = {"participant_parameters": "workerId, hitId", "judgments_per_person": "", "timezone": "Asia/Tokyo"}
    response = admin.send_form("/admin/projects/default/settings", **fields)
    assert response.status_code == 303, response.text
    settings = house.store.projects.get("default").settings
    assert settings.participant_parameters == ("workerId", "hitId") and settings.judgments_per_person is None
    assert (settings.timezone, settings.completion_code) == ("Asia/Tokyo", "C0DE-42")
