"""Tasks on the admin pages: files in, whole or not at all, with the line that is wrong; gold; what comes first."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from rating_visitors import PAGE, House, Visitor, a_task

from assent.core.types import Ranking
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings

PROJECT = "/admin/projects/support"
QUEUE = Queue("support")


@pytest.fixture
def admin(house: House) -> Visitor:
    """An admin at the page of tasks."""
    house.store.projects.save("support", ProjectSettings(overlap_share=0.5, overlap=3), now=house.clock())
    visitor = house.person("admin")
    visitor.page(f"{PROJECT}/tasks")
    return visitor


def _lines(*rows: Any) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


def _row(n: int, **more: Any) -> dict[str, Any]:
    return {"prompt": f"Question {n}?", "answers": [f"Answer {n}a.", f"Answer {n}b.", f"Answer {n}c."]} | more


def _send(admin: Visitor, path: str, content: bytes, **query: str) -> Any:
    headers = {"x-csrf-token": admin.csrf, "content-type": "application/octet-stream"}
    return admin.client.post(path, params=query, content=content, headers=headers)


def test_pasted_tasks_are_queued_with_the_projects_overlap(house: House, admin: Visitor) -> None:
    pasted = _lines(_row(1, language="de", gold="2 > 1 = 3"), _row(2), _row(3), _row(4))
    response = admin.send_form(f"{PROJECT}/tasks", pasted=pasted, purpose="reward")
    assert response.headers["location"].endswith("tasks?purpose=reward&done=added&n=4")
    assert house.store.counts(QUEUE).need == 3 + 3 + 1 + 1, "half of the tasks three times"
    html = admin.page(response.headers["location"])
    assert "New tasks or judgments: 4" in html and "Question 3?" in html
    (task_id,) = house.store.projects.gold("support")
    task = house.store.tasks([task_id])[task_id]
    assert task.prompt.text == "Question 1?" and task.prompt.meta == {"language": "de"}
    again = admin.send_form(f"{PROJECT}/tasks", pasted=pasted)
    assert again.headers["location"].endswith("n=0") and house.store.counts(QUEUE).need == 8


def test_a_file_is_the_body_of_one_request(house: House, admin: Visitor) -> None:
    content = "\n".join(json.dumps(_row(n)) for n in range(3000)).encode() + b"\n"
    assert len(content) * 4 > 1 << 20, "more than other requests may send"
    response = _send(admin, f"{PROJECT}/tasks", content * 4, file="many.jsonl", purpose="evaluation")
    assert response.status_code == 200 and response.json() == {"added": 3000, "known": 9000}
    assert len(house.store.task_ids(Queue("support", "evaluation"))) == 3000


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", ":3: not valid JSON"),
        ({"prompt": "?"}, ":3: column 'answers' is missing"),
        (_row(1, answers=["same", "same"]), ":3: answers 1 and 2 are the same text"),
        (_row(9, gold="7"), ":3: 'gold' names answer '7'"),
    ],
)
def test_one_bad_line_and_nothing_is_brought_in(house: House, admin: Visitor, bad: Any, said: str) -> None:
    content = _lines(_row(1, gold="1 > 2 > 3"), _row(2), bad, _row(4))
    response = _send(admin, f"{PROJECT}/tasks", content.encode(), file="../../etc/tasks.jsonl")
    assert response.status_code == 422 and "../../etc/tasks.jsonl" + said in response.json()["error"]["what"]
    pasted = admin.send_form(f"{PROJECT}/tasks", pasted=content)
    assert pasted.status_code == 422 and said.partition(": ")[0] in pasted.text
    assert "Question 4?" in pasted.text, "what was pasted is still there"
    assert house.store.task_ids(QUEUE) == [] and house.store.projects.gold("support") == {}


def test_a_task_of_another_project_is_not_taken_over(house: House, admin: Visitor) -> None:
    house.store.projects.save("other", ProjectSettings(), now=house.clock())
    house.store.add_tasks([a_task(1, project="other").model_copy(update={"id": "mine"})], now=house.clock())
    response = _send(admin, f"{PROJECT}/tasks", json.dumps(_row(1, id="mine")).encode(), file="t.jsonl")
    assert response.status_code == 422 and "in project 'other' already" in response.json()["error"]["what"]
    assert admin.client.get(f"{PROJECT}/task", params={"id": "mine"}, headers=PAGE).status_code == 404
    refused = admin.send_form(f"{PROJECT}/priorities", priorities="mine 5")
    assert refused.status_code == 422 and "not in this project" in refused.text


def test_rankings_come_in_from_any_format_and_once(house: House, admin: Visitor) -> None:
    rows = [
        {"prompt": f"q{n}", "answers": {"a": f"x{n}", "b": f"y{n}"}, "ranking": "b > a", "rater": "ann"}
        for n in range(3)
    ]
    content = gzip.compress(_lines(*rows).encode())
    assert _send(admin, f"{PROJECT}/rankings", content, file="r.jsonl.gz").json() == {"added": 3, "known": 0}
    assert _send(admin, f"{PROJECT}/rankings", content, file="r.jsonl.gz").json() == {"added": 0, "known": 3}
    assert len(house.store.comparisons(QUEUE)) == 3
    bad = _lines(rows[0] | {"rater": "ben"}, rows[1] | {"rater": "ben", "ranking": "b > z"})
    refused = _send(admin, f"{PROJECT}/rankings", bad.encode(), file="bad.jsonl")
    assert refused.status_code == 422 and "bad.jsonl:2: " in refused.json()["error"]["what"]
    assert "/tmp" not in refused.text and len(house.store.judgments(QUEUE)) == 3
    for name in ("r.exe", "", "x/../../r"):
        assert _send(admin, f"{PROJECT}/rankings", content, file=name).status_code == 422


def test_gold_is_set_by_places_and_taken_back(house: House, admin: Visitor) -> None:
    task = a_task(1, project="support", answers=3)
    house.store.add_tasks([task], now=house.clock())
    a, b, c = (completion.id for completion in task.completions)
    page = f"{PROJECT}/task?id={task.id}"
    assert "answer 0 to 1" in admin.page(page)
    refused = admin.send_form(f"{PROJECT}/gold", **{"task": task.id, "do": "set", "place.0": "1", "place.2": "2"})
    assert refused.status_code == 422 and "Answer B has no place" in refused.text
    assert 'value="2" data-letter="C" checked' in refused.text, "what was chosen is still chosen"
    places = {"place.0": "2", "place.1": "1", "place.2": "2", "note": "clear"}
    admin.send_form(f"{PROJECT}/gold", task=task.id, do="set", **places)
    assert house.store.projects.gold("support") == {task.id: (Ranking(tiers=((b,), (a, c))), "clear")}
    assert 'value="1" data-letter="B" checked' in admin.page(page)
    admin.send_form(f"{PROJECT}/gold", task=task.id, do="remove")
    assert house.store.projects.gold("support") == {}


def test_priorities_by_hand(house: House, admin: Visitor) -> None:
    house.store.add_tasks([a_task(n, project="support") for n in range(3)], now=house.clock())
    rater = house.person("rater")
    admin.send_form(f"{PROJECT}/priorities", priorities="support-2 5\n\nsupport-1\t2.5")
    house.store.projects.save(
        "support", ProjectSettings(random_share=0, gold_share=0, repeat_share=0), now=house.clock()
    )
    assert [item["task_id"] for item in rater.next(limit=2, project="support")] == ["support-2", "support-1"]


@pytest.mark.parametrize("text", ["", "support-0", "support-0 high", "support-0 nan", "support-0 1e400", "gone 1"])
def test_bad_priorities_change_nothing(house: House, admin: Visitor, text: str) -> None:
    house.store.add_tasks([a_task(0, project="support")], now=house.clock())
    response = admin.send_form(f"{PROJECT}/priorities", priorities=text)
    assert response.status_code == 422 and 'role="alert"' in response.text


@pytest.mark.parametrize("task_id", ["", "nowhere", "x" * 5000, "a b?c#d%2F..", "' OR 1=1 --"])
def test_an_unknown_task_is_not_found(admin: Visitor, task_id: str) -> None:
    response = admin.client.get(f"{PROJECT}/task", params={"id": task_id}, headers=PAGE)
    assert response.status_code == 404 and "Traceback" not in response.text


def test_the_list_is_searched_and_paged(house: House, admin: Visitor) -> None:
    house.store.add_tasks([a_task(n, project="support") for n in range(120)], now=house.clock())
    assert "Page 1 of 3" in admin.page(f"{PROJECT}/tasks")
    assert "question 99 of" in admin.page(f"{PROJECT}/tasks?page=3"), "the last by id"
    found = admin.page(f"{PROJECT}/tasks?find=QUESTION+77")
    assert "question 77 of" in found and "question 78 of" not in found
    assert "Nothing found" in admin.page(f"{PROJECT}/tasks?find=%25")
    assert admin.client.get(f"{PROJECT}/tasks?page=0", headers=PAGE).status_code == 422
