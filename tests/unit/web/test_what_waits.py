"""What waits for a rater is what they will be asked, after each thing they do, shared tasks of a newcomer included."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from rating_visitors import House, Visitor, ranking

from assent.feedback.records.settings import ProjectSettings

PLAIN: dict[str, Any] = {"gold_share": 0, "repeat_share": 0, "random_share": 0}


def _look(rater: Visitor) -> tuple[int, list[dict[str, Any]]]:
    """What a page with one task in hand says waits, that task included; and the task."""
    answer = rater.get("/rating/next", project="default", limit=1).json()
    return answer["progress"]["waiting"] + len(answer["items"]), answer["items"]


def _all_of(rater: Visitor) -> list[int]:
    """What waits before each task that is judged, and at the end."""
    said = []
    while True:
        waiting, items = _look(rater)
        said.append(waiting)
        if not items:
            return said
        assert rater.post("/rating/submit", ranking(items[0])).status_code == 200


@pytest.mark.parametrize(("newcomer_tasks", "counted"), [(30, [4, 3, 2, 1, 0]), (1, [3, 2, 1, 0]), (0, [2, 1, 0])])
def test_a_newcomer_is_told_of_the_tasks_they_share_with_others_too(
    house: House, newcomer_tasks: int, counted: list[int]
) -> None:
    house.add_tasks(4)
    settings = ProjectSettings(**PLAIN, newcomer_tasks=newcomer_tasks, newcomer_overlap=2)
    house.store.projects.save("default", settings, now=house.clock())
    first = house.person()
    for item in first.next(limit=2):
        first.post("/rating/submit", ranking(item))
    second = house.person()
    assert f"Rankings: {counted[0]} waiting" in second.page("/")
    assert _all_of(second) == counted


def test_a_skipped_task_waits_no_more_for_whoever_skipped_it(house: House) -> None:
    house.add_tasks(4)
    house.store.projects.save("default", ProjectSettings(**PLAIN, newcomer_tasks=0), now=house.clock())
    rater = house.person()
    waiting, (item,) = _look(rater)
    skip = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "token": item["token"], "skip_reason": "unclear"}
    assert rater.post("/rating/submit", skip).status_code == 200
    assert (waiting, _look(rater)[0]) == (4, 3), "at once, and not when it is counted again"


def test_a_dashboard_says_when_it_was_counted(house: House) -> None:
    house.add_tasks(2)
    admin, counted = house.person("admin"), house.clock()
    address = "/admin/projects/default/dashboard.json"
    assert admin.get(address).json()["counted_at"] == counted
