"""Running a study over HTTP: a task that nobody can judge, a stated number of judgments, tasks for named people."""

from __future__ import annotations

import html
import uuid
from pathlib import Path
from typing import Any

import pytest
from rating_visitors import House, Visitor, a_task, ranking

from assent.core.errors import DataError
from assent.feedback.records.settings import ProjectSettings
from assent.service.intake import take_in

PLAIN = ProjectSettings(overlap_share=0, newcomer_overlap=1, gold_share=0, repeat_share=0)
PAGE = "/admin/projects/default"


@pytest.fixture
def program(house: House) -> Any:
    """An admin's program beside a project with two tasks."""
    house.store.projects.save("default", PLAIN, now=house.clock())
    house.add_tasks(2)
    return house.program("admin")


def _skip(rater: Visitor, task_id: str, reason: str) -> None:
    for item in rater.next(limit=3):
        if item["task_id"] == task_id:
            body = {"id": str(uuid.uuid4()), "task_id": task_id, "token": item["token"], "skip_reason": reason}
            assert rater.post("/rating/submit", body).status_code == 200
    rater.post("/rating/release", {})


def _given(rater: Visitor) -> list[str]:
    found = sorted(item["task_id"] for item in rater.next(limit=3))
    rater.post("/rating/release", {})
    return found


def test_a_task_skipped_three_times_as_shown_wrongly_is_given_to_nobody_and_the_pages_say_why(
    house: House, program: Any
) -> None:
    for _ in range(3):
        _skip(house.person(), "default-1", "broken")
    assert _given(house.person()) == ["default-0"]
    assert program.get("/api/v1/projects/default/progress").json() == {"have": 0, "need": 1}
    (state,) = program.get("/api/v1/projects/default/task-states", params={"state": "aside"}).json()["items"]
    assert (state["task_id"], state["aside"], state["skips"]) == ("default-1", "skips", {"broken": 3})
    admin = house.person("admin")
    for page in (f"{PAGE}/tasks", f"{PAGE}/tasks?state=skipped", f"{PAGE}/task?id=default-1"):
        assert "Set aside: shown wrongly" in admin.page(page)
        assert "3 × It is shown wrongly" in admin.page(page)
    assert "default-0" not in admin.page(f"{PAGE}/tasks?state=aside")
    assert admin.send_form(f"{PAGE}/task", task="default-1", do="back").status_code == 303
    assert _given(house.person()) == ["default-0", "default-1"]
    assert admin.send_form(f"{PAGE}/task", task="default-1", do="aside").status_code == 303
    assert _given(house.person()) == ["default-0"]


def test_a_decision_without_an_answer_ends_the_waiting(house: House, program: Any) -> None:
    decision = {"task_id": "default-1", "ranking": None, "reason": "the picture is missing"}
    assert program.post("/api/v1/adjudications", json=decision).status_code == 200
    assert _given(house.person()) == ["default-0"]
    assert program.get("/api/v1/tasks/default-1/state").json()["aside"] == "decision"


def test_a_program_sets_tasks_aside_and_back_one_by_one_and_all_or_none_of_many(house: House, program: Any) -> None:
    assert program.patch("/api/v1/tasks/default-1", json={"aside": True}).json()["aside"] == "hand"
    assert program.patch("/api/v1/tasks/default-1", json={}).json()["aside"] == "hand"
    assert program.patch("/api/v1/tasks/default-1", json={"aside": False}).json()["aside"] is None
    wrong = program.patch("/api/v1/projects/default/tasks", json={"tasks": ["default-0", "x"], "aside": True})
    assert (wrong.status_code, "'x' is not in this project" in wrong.text) == (422, True)
    assert _given(house.person()) == ["default-0", "default-1"]
    both = {"tasks": ["default-0", "default-1"], "aside": True}
    assert program.patch("/api/v1/projects/default/tasks", json=both).json() == {"changed": 2}
    assert _given(house.person()) == []
    assert house.program("adjudicator").patch("/api/v1/tasks/default-1", json={"aside": False}).status_code == 403


def test_a_stated_number_of_judgments_is_a_cap_that_goes_up_and_down(house: House, program: Any) -> None:
    house.store.projects.save("default", ProjectSettings(gold_share=0, repeat_share=0), now=house.clock())
    sent = {"tasks": [{"prompt": "Why?", "answers": ["a", "b"], "id": "one"}], "slots": 1}
    program.post("/api/v1/projects/default/tasks", json=sent)
    program.patch("/api/v1/projects/default/tasks", json={"tasks": ["default-0", "default-1"], "aside": True})
    for _ in range(3):
        rater = house.person()
        for item in rater.next(limit=3):
            assert rater.post("/rating/submit", ranking(item)).status_code == 200
    assert program.get("/api/v1/projects/default/progress").json() == {"have": 1, "need": 1}
    assert program.patch("/api/v1/tasks/one", json={"wanted": 3}).json()["unjudged"] == 2
    assert _given(house.person()) == ["one"]
    admin = house.person("admin")
    admin.page(f"{PAGE}/task?id=one")
    assert admin.send_form(f"{PAGE}/task", task="one", do="want", wanted="1").status_code == 303
    assert _given(house.person()) == []
    assert admin.send_form(f"{PAGE}/task", task="one", do="want", wanted="many").status_code == 422


def test_a_task_assigned_by_login_or_group_is_given_to_nobody_else(house: House, program: Any) -> None:
    ben, cleo, dan = house.person(login="ben"), house.person(login="cleo"), house.person(login="dan")
    assert ben.account and cleo.account
    groups = program.put("/api/v1/groups/nurses", json={"members": [cleo.account.rater_id]})
    assert groups.json() == {"nurses": [cleo.account.rater_id]}
    admin = house.person("admin")
    admin.page(f"{PAGE}/task?id=default-1")
    assert admin.send_form(f"{PAGE}/task", task="default-1", do="assign", assigned="Ben\r\nnurses").status_code == 303
    assert "ben\nnurses" in admin.page(f"{PAGE}/task?id=default-1")
    assert admin.send_form(f"{PAGE}/task", task="default-1", do="assign", assigned="zoe").status_code == 422
    assert [_given(one) for one in (ben, cleo, dan)] == [["default-0", "default-1"]] * 2 + [["default-0"]]
    state = program.get("/api/v1/tasks/default-1/state").json()
    assert state["assigned"] == {"raters": [ben.account.rater_id], "groups": ["nurses"]}


def test_states_come_in_pages(house: House, program: Any) -> None:
    house.store.add_tasks([a_task(n) for n in range(2, 7)], now=house.clock())
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = program.get(
            "/api/v1/projects/default/task-states", params={"limit": 3, "state": "open", **cursor}
        ).json()
        seen += [one["task_id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [f"default-{n}" for n in range(7)]
    found = program.get("/api/v1/projects/default/task-states", params={"find": "QUESTION 4"}).json()["items"]
    assert [one["task_id"] for one in found] == ["default-4"]


def test_an_archived_project_is_hidden_and_read_only_until_it_is_taken_out(house: House, program: Any) -> None:
    rater = house.person()
    [held] = rater.next()
    assert program.patch("/api/v1/projects/default", json={"archived": True}).json()["archived_at"] == house.clock()
    assert rater.next() == [] and 'href="/rate/default"' not in rater.page("/")
    assert rater.post("/rating/submit", ranking(held)).status_code == 200  # nobody's work is lost
    task = {"tasks": [{"prompt": "Why?", "answers": ["a", "b"]}]}
    for response in (
        program.patch("/api/v1/projects/default", json={"settings": {"edits": False}}),
        program.post("/api/v1/projects/default/tasks", json=task),
        program.patch("/api/v1/tasks/default-0", json={"aside": True}),
        program.post("/api/v1/projects/default/guidelines", json={"text": "new"}),
        program.post("/api/v1/adjudications", json={"task_id": "default-0", "ranking": None, "reason": "x"}),
    ):
        assert (response.status_code, "is archived" in response.text) == (409, True), response.text
    admin = house.person("admin")
    assert "Archived" in admin.page("/admin/projects")
    admin.page(f"{PAGE}/settings")
    assert admin.send_form(f"{PAGE}/archive", is_archived="no").status_code == 303
    assert len(rater.next()) == 1


def test_the_day_of_a_rater_begins_where_the_project_says(house: House, program: Any) -> None:
    rater = house.person()
    house.clock.now = 1_800_000_000.0 // 86_400 * 86_400 + 14 * 3600  # 14:00 UTC is 23:00 in Tokyo
    for item in rater.next(limit=1):
        rater.post("/rating/submit", ranking(item))
    house.clock.now += 2 * 3600
    today = [rater.get("/rating/next", project="default").json()["progress"]["today"]]
    program.patch("/api/v1/projects/default", json={"settings": {"timezone": "Asia/Tokyo"}})
    today.append(rater.get("/rating/next", project="default").json()["progress"]["today"])
    assert today == [1, 0]


def test_a_known_id_with_other_content_or_in_another_project_is_refused_with_its_line(
    house: House, program: Any, tmp_path: Path
) -> None:
    house.store.projects.save("second", PLAIN, now=house.clock())
    new = '{"id": "new", "prompt": "Why?", "answers": ["a", "b"]}\n'
    lines = new + '{"id": "default-0", "prompt": "Why?", "answers": ["a", "b"]}\n'
    (tmp_path / "tasks.jsonl").write_text(lines)
    for project, said in (("default", "with other content"), ("second", "is in project 'default' already")):
        with pytest.raises(DataError, match=rf"tasks.jsonl:2: task 'default-0' .*{said}"):
            take_in(house.store, str(tmp_path / "tasks.jsonl"), project=project, now=house.clock())
        admin = house.person("admin")
        admin.page(f"/admin/projects/{project}/tasks")
        response = admin.send_form(f"/admin/projects/{project}/tasks", pasted=lines, purpose="reward")
        page = html.unescape(response.text)
        assert (response.status_code, "asted.jsonl:2: " in page, said in page) == (422, True, True)
        sent = {"tasks": [{"id": "new", "prompt": "a", "answers": ["a", "b"]}]}
        sent["tasks"].append({"id": "default-0", "prompt": "a", "answers": ["a", "b"]})
        response = program.post(f"/api/v1/projects/{project}/tasks", json=sent)
        assert response.status_code == 409 and "tasks[1]" in response.text and said in response.text
    assert "new" not in house.store.tasks(["new"])


def test_known_tasks_are_replaced_where_that_is_said_and_it_is_counted(
    house: House, program: Any, tmp_path: Path
) -> None:
    rater = house.person()
    held = {item["task_id"]: item for item in rater.next(limit=2)}
    assert rater.post("/rating/submit", ranking(held["default-1"])).status_code == 200
    lines = "".join(f'{{"id": "default-{n}", "prompt": "Why {n}?", "answers": ["a", "b"]}}\n' for n in range(3))
    (tmp_path / "tasks.jsonl").write_text(lines)
    said = str(
        take_in(house.store, str(tmp_path / "tasks.jsonl"), project="default", now=house.clock(), is_replacing=True)
    )
    assert said == (
        "1 tasks added to project default, 1 got other content, 1 had judgments, so they were set aside and their new"
        " content got an id of its own"
    )
    refused = rater.post("/rating/submit", ranking(held["default-0"]))
    assert refused.status_code == 409 and "got other content since it was given out" in refused.text
    fresh = {item["task_id"]: item for item in rater.next(limit=3)}
    assert sorted(fresh) == ["default-0", "default-1.2", "default-2"]
    assert fresh["default-0"]["content"] != held["default-0"]["content"]
    assert rater.post("/rating/submit", ranking(fresh["default-0"])).status_code == 200
    admin = house.person("admin")
    admin.page(f"{PAGE}/tasks")
    again = admin.send_form(f"{PAGE}/tasks", pasted=lines, purpose="reward", replace="yes")
    assert "New tasks: 0. With new content: 0." in admin.page(again.headers["location"])
    assert "Set aside: replaced" in admin.page(f"{PAGE}/tasks?state=aside")
    house.clock.now += 60
    third = lines.replace("Why", "How")
    headers = {"x-csrf-token": admin.csrf, "content-type": "application/octet-stream"}
    path = f"{PAGE}/tasks?file=t.jsonl&purpose=reward&replace=yes"
    counts = admin.client.post(path, content=third.encode(), headers=headers).json()
    assert counts == {"added": 0, "known": 0, "changed": 2, "set_aside": 1, "gold_dropped": 0}
    sent = [{"id": f"default-{n}", "prompt": f"How {n}?", "answers": ["a", "b"]} for n in range(3)]
    same = program.post("/api/v1/projects/default/tasks", json={"tasks": sent, "replace": True}).json()
    assert (same["known"], same["ids"]) == (3, ["default-0.2", "default-1.2", "default-2"])
    assert "How 2?" in admin.page(f"{PAGE}/tasks")


def test_an_id_of_another_project_is_not_replaced(house: House, program: Any, tmp_path: Path) -> None:
    house.store.projects.save("second", PLAIN, now=house.clock())
    (tmp_path / "t.jsonl").write_text('{"id": "default-0", "prompt": "Why?", "answers": ["a", "b"]}\n')
    with pytest.raises(DataError, match=r"t.jsonl:1: task 'default-0' is in project 'default' already"):
        take_in(house.store, str(tmp_path / "t.jsonl"), project="second", now=house.clock(), is_replacing=True)
    sent = {"tasks": [{"id": "default-0", "prompt": "a", "answers": ["a", "b"]}], "replace": True}
    assert program.post("/api/v1/projects/second/tasks", json=sent).status_code in (409, 422)


def test_days_of_the_dashboard_are_those_of_the_projects_zone(house: House, program: Any) -> None:
    midnight = 1_800_000_000.0 // 86_400 * 86_400 + 15 * 3600  # in Tokyo
    rater, admin = house.person(), house.person("admin")
    for item, at in zip(rater.next(limit=2), (midnight - 60, midnight + 60), strict=True):
        house.clock.now = at
        assert rater.post("/rating/submit", ranking(item)).status_code == 200
    house.clock.now = midnight + 1800
    assert program.get("/api/v1/projects/default/statistics").json()["today"] == 2
    assert "2 today" in admin.page(PAGE) and "2027-01-15 14:30 UTC" in admin.page(PAGE)
    program.patch("/api/v1/projects/default", json={"settings": {"timezone": "Asia/Tokyo"}})
    program.post("/api/v1/projects/default/guidelines", json={"text": "Be kind."})
    assert program.get("/api/v1/projects/default/statistics").json()["today"] == 1
    page = admin.page(PAGE)
    assert "1 today" in page and "2027-01-15 23:30 JST" in page and ">2027-01-15</text>" in page
    told = admin.page(f"{PAGE}/guidelines")
    assert '<time datetime="2027-01-15T15:30:00Z" data-zone="Asia/Tokyo">2027-01-16 00:30 JST</time>' in told
