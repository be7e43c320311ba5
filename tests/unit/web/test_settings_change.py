"""Settings changed while people work: what was asked when a task was given is kept, and the rater is told."""

from __future__ import annotations

from typing import Any

import pytest
from rating_visitors import House, Visitor, ranking
from sqlalchemy import update

from assent.core.types import Flag
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import Criterion, ProjectSettings
from assent.feedback.tables.connection import connect, write_transaction
from assent.feedback.tables.queue import Presentation

FLAGS: tuple[Flag, ...] = ("unsafe", "factually_wrong")
BEFORE = ProjectSettings(
    overlap_share=0,
    newcomer_overlap=1,
    gold_share=0,
    repeat_share=0,
    flags=FLAGS,
    criteria=(Criterion(name="helpful", anchors=("no", "some", "yes")),),
)
AFTER = BEFORE.model_copy(
    update={
        "criteria": (Criterion(name="honest", anchors=("no", "yes")),),
        "edits": False,
        "strengths": False,
        "critique": False,
        "flags": ("unsafe",),
    }
)


def _change(house: House, settings: ProjectSettings) -> None:
    house.store.projects.save("default", settings, now=house.clock())


@pytest.fixture
def rater(house: House) -> Visitor:
    _change(house, BEFORE)
    house.add_tasks(4)
    return house.person()


def _everything(item: dict[str, Any]) -> dict[str, Any]:
    first, second = (answer["id"] for answer in item["answers"][:2])
    rest = [answer["id"] for answer in item["answers"][2:]]
    return {
        "ranking": {"tiers": [[first], [second], rest], "strengths": [2, None]},
        "scores": {first: {"helpful": 3}},
        "flags": {second: ["factually_wrong"]},
        "edits": {first: "rewritten at length"},
        "critique": "because",
        "notes": [{"completion_id": first, "text": "good"}],
    }


ALL = ["criterion helpful", "flag factually_wrong", "edits", "critique", "strengths"]


def test_what_was_asked_when_the_task_was_given_is_kept_and_named_as_no_longer_asked(
    house: House, rater: Visitor
) -> None:
    [item] = rater.next()
    _change(house, AFTER)
    said = ranking(item, **_everything(item))
    response = rater.post("/rating/submit", said)
    assert (response.status_code, response.json()["no_longer_asked"]) == (200, ALL)
    (kept,) = house.store.judgments(Queue())
    assert kept.scores == said["scores"] and kept.edits == said["edits"] and kept.critique == "because"
    assert kept.ranking is not None and kept.ranking.strengths == (2, None)


def test_a_correction_may_say_what_the_judgment_it_corrects_was_asked(house: House, rater: Visitor) -> None:
    [item] = rater.next()
    first = ranking(item, **_everything(item))
    assert rater.post("/rating/submit", first).json()["no_longer_asked"] == []
    _change(house, AFTER)
    second = ranking(item, **_everything(item)) | {"supersedes": first["id"]}
    assert rater.post("/rating/submit", second).json()["no_longer_asked"] == ALL
    third = ranking(item, **_everything(item)) | {"supersedes": second["id"]}
    assert rater.post("/rating/submit", third).status_code == 200


def test_who_reloads_after_the_change_may_say_what_either_form_asked(house: House, rater: Visitor) -> None:
    [item] = rater.next()
    _change(house, AFTER)
    assert [one["task_id"] for one in rater.next()] == [item["task_id"]]
    scores = {item["answers"][0]["id"]: {"helpful": 3}, item["answers"][1]["id"]: {"honest": 2}}
    response = rater.post("/rating/submit", ranking(item, scores=scores))
    assert response.json()["no_longer_asked"] == ["criterion helpful"]


def test_what_is_asked_only_now_may_be_said_of_a_task_given_before(house: House, rater: Visitor) -> None:
    [item] = rater.next()
    _change(house, AFTER)
    response = rater.post("/rating/submit", ranking(item, scores={item["answers"][0]["id"]: {"honest": 2}}))
    assert response.json()["no_longer_asked"] == []


@pytest.mark.parametrize("scores", [{"beauty": 1}, {"helpful": 4}, {"helpful": 0}, {"helpful": 1.5}])
def test_what_no_form_asked_is_refused(house: House, rater: Visitor, scores: dict[str, float]) -> None:
    [item] = rater.next()
    _change(house, AFTER)
    response = rater.post("/rating/submit", ranking(item, scores={item["answers"][0]["id"]: scores}))
    assert response.status_code == 422 and next(iter(scores)) in response.text


def test_a_task_given_after_the_change_asks_what_holds_then(house: House, rater: Visitor) -> None:
    _change(house, AFTER)
    [item] = rater.next()
    assert rater.post("/rating/submit", ranking(item, critique="because")).status_code == 422


def test_a_task_given_by_a_service_that_did_not_note_what_it_asked_loses_nobodys_work(
    house: House, rater: Visitor
) -> None:
    [item] = rater.next()
    engine = connect(str(house.app.state.context.store_url))
    with write_transaction(engine) as connection:
        connection.execute(update(Presentation).values(asked=None))
    engine.dispose()
    _change(house, AFTER)
    response = rater.post("/rating/submit", ranking(item, **_everything(item)))
    assert (response.status_code, response.json()["no_longer_asked"]) == (200, ALL)


def test_a_program_that_claimed_before_the_change_is_told_the_same(house: House, rater: Visitor) -> None:
    bot = house.program("rater")
    [item] = bot.post("/api/v1/projects/default/claim", json={}).json()["items"]
    _change(house, AFTER)
    said = ranking(item, critique="because")
    said.pop("seconds")
    response = bot.post("/api/v1/judgments", json=said)
    assert (response.status_code, response.json()["no_longer_asked"]) == (200, ["critique"])
