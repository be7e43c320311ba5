"""Projects over the API: settings that nothing could keep, and judgments with what is needed to weight them."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from rating_visitors import House

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.formats import to_row
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings

PROJECT = "/api/v1/projects/p"


def _filled(house: House, count: int, **settings: Any) -> Any:
    """A program of an admin, with a project of some tasks."""
    plain = {"gold_share": 0, "repeat_share": 0, "overlap_share": 0} | settings
    house.store.projects.save("p", ProjectSettings.model_validate(plain), now=house.clock())
    house.add_tasks(count, project="p")
    return house.program("admin")


@pytest.mark.parametrize(
    "settings",
    [
        '{"lease_seconds": 1e400}',
        '{"cost_per_hour": 1e400}',
        '{"title": "\\ud800"}',
        '{"title": "\\u0000"}',
        '{"newcomer_tasks": 1' + "0" * 30 + "}",
        '{"repeat_after": 1' + "0" * 30 + "}",
    ],
)
def test_settings_that_nothing_could_keep_are_refused_and_change_nothing(house: House, settings: str) -> None:
    admin = _filled(house, 2)
    before = admin.get(PROJECT).json()["settings"]
    headers = {"content-type": "application/json"}
    for method, body in (("PUT", settings), ("PATCH", f'{{"settings": {settings}}}')):
        refused = admin.request(method, PROJECT, content=body, headers=headers)
        assert refused.status_code == 422, refused.text
        assert set(refused.json()["error"]) == {"what", "do"}
    assert admin.get(PROJECT).json()["settings"] == before
    assert house.program("rater").post(f"{PROJECT}/claim", json={}).json()["items"]


@pytest.mark.slow
def test_judgments_come_with_what_is_needed_to_weight_them(house: House) -> None:
    admin, bot = _filled(house, 40, repeat_share=0.5, repeat_after=1, newcomer_tasks=0), house.program("rater")
    assert admin.post(f"{PROJECT}/guidelines", json={"text": "Be fair."}).status_code == 200
    count = 0
    while items := bot.post(f"{PROJECT}/claim", json={}).json()["items"]:
        tiers = [[answer["id"] for answer in items[0]["answers"]]]
        said = {"id": str(uuid.uuid4()), "task_id": items[0]["task_id"], "token": items[0]["token"]}
        assert bot.post("/api/v1/judgments", json=said | {"ranking": {"tiers": tiers}}).status_code == 200
        house.clock.now += 1
        count += 1
    listed = admin.get(f"{PROJECT}/judgments", params={"limit": 500}).json()["items"]
    assert len(listed) == count > 40
    assert {one["guideline_version"] for one in listed} == {1}
    drawn = [one for one in listed if one["repeat_of"] is None]
    again = [one for one in listed if one["repeat_of"] is not None]
    assert len(drawn) == 40 and all(0 < one["propensity"] <= 1 for one in drawn)
    assert all(one["propensity"] is None and one["repeat_of"] not in one["task_id"] for one in again)
    assert {one["repeat_of"] for one in again} <= {one["task_id"] for one in drawn}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"ranking": {"tiers": [["a"]]}}, "leaves out answers ['b']"),
        ({"ranking": {"tiers": [["a"], ["z"]]}}, "unknown answers: ['z']"),
        ({"flags": {"z": ["unsafe"]}}, "names unknown answers ['z']"),
        ({"rater_id": ""}, "names no rater"),
        ({"critique": "x\x00"}, "NUL"),
        ({"order_shown": ["a"]}, "show each answer once"),
        ({"scores": {"a": {"helpful": float("nan")}}}, "JSON"),
    ],
)
def test_an_imported_judgment_that_cannot_be_is_named_by_its_line(
    house: House, said: dict[str, Any], words: str
) -> None:
    admin = _filled(house, 1)
    prompt = Prompt.of("Why?")
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in "ab")
    good = Judgment(task_id="", rater_id="anna", ranking=Ranking(tiers=(("a",), ("b",))))
    rows = [to_row(Comparison(prompt=prompt, completions=answers, judgments=(good,))) for _ in range(2)]
    rows[1]["record"]["judgments"][0].update(said)
    body = "\n".join(json.dumps(row) for row in rows)
    refused = admin.post(f"{PROJECT}/imports", content=body.encode())
    assert refused.status_code == 422, refused.text
    what = refused.json()["error"]["what"] + refused.json()["error"]["do"]
    assert what.startswith("body.jsonl:2: ") and words in what
    assert house.store.judgments(Queue("p")) == [] and len(house.store.task_ids(Queue("p"))) == 1
