"""What the rating page may ask and say, and what is refused: leases, doubles, stale tabs, forgeries, bad values."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from rating_visitors import House, Visitor, a_task, ranking

from assent.core.types import Ranking
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import Criterion, ProjectSettings

WORDS = ["'; DROP TABLE judgment; --", "{{ 7*7 }}", "{% for x in y %}", "<script>alert(1)</script>", "${jndi:ldap://x}"]


def _kept(house: House) -> list[Any]:
    return house.store.judgments(Queue(), with_superseded=True)


def test_a_ranking_is_kept_in_the_order_that_was_shown(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    assert sorted(a["text"] for a in item["answers"]) == [f"answer {n} to 0" for n in range(4)]
    body = ranking(item, flags={item["answers"][0]["id"]: ["unsafe"]}, critique="the last two say the same")
    response = rater.post("/rating/submit", body)
    said = {"status": "stored", "judgment_id": body["id"], "no_longer_asked": []}
    assert (response.status_code, response.json()) == (200, said)
    [judgment] = _kept(house)
    assert rater.account is not None
    assert judgment.rater_id == rater.account.rater_id
    assert list(judgment.order_shown) == [a["id"] for a in item["answers"]]
    assert [list(tier) for tier in judgment.ranking.tiers] == body["ranking"]["tiers"]
    assert judgment.critique == "the last two say the same"


def test_nothing_tells_a_rater_where_answers_come_from_or_what_is_gold(house: House) -> None:
    house.add_tasks(1)
    house.store.projects.set_gold("default-0", Ranking(tiers=(tuple(c.id for c in a_task(0).completions),)), now=1.0)
    rater = house.person()
    text = rater.get("/rating/next", project="default").text
    words = ("gold", "repeat", "service", "propensity", "source", "overlap", "priority", "random_share", "cost")
    assert not [word for word in words if word in text]


def test_a_reload_gives_the_same_tasks_in_the_same_order(house: House) -> None:
    house.add_tasks(9)
    rater = house.person()
    first = rater.next(limit=3)
    assert rater.next(limit=3) == first
    assert rater.post("/rating/release", {}).json() == {"released": 3}


def test_the_same_submission_twice_is_one_judgment(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    body = ranking(rater.next()[0])
    assert [rater.post("/rating/submit", body).json()["status"] for _ in range(3)] == ["stored", "known", "known"]
    assert len(_kept(house)) == 1


def test_one_id_for_two_judgments_is_a_conflict(house: House) -> None:
    house.add_tasks(2)
    rater = house.person()
    one, two = rater.next(limit=2)
    body = ranking(one)
    rater.post("/rating/submit", body)
    assert rater.post("/rating/submit", ranking(two, id=body["id"])).status_code == 409
    assert len(_kept(house)) == 1


def test_a_stale_tab_is_told_what_holds_now(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    first = ranking(item)
    rater.post("/rating/submit", first)
    response = rater.post("/rating/submit", ranking(item))
    assert response.status_code == 409
    said = response.json()
    assert said["current"]["id"] == first["id"]
    assert said["current"]["ranking"]["tiers"] == first["ranking"]["tiers"]
    assert "rater_id" not in said["current"]
    better = ranking(item, supersedes=first["id"])
    assert rater.post("/rating/submit", better).json()["status"] == "stored"
    again = rater.post("/rating/submit", ranking(item, supersedes=first["id"]))
    assert (again.status_code, again.json()["current"]["id"]) == (409, better["id"])


def test_what_was_submitted_can_be_seen_changed_and_taken_back(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    first = ranking(rater.next()[0])
    rater.post("/rating/submit", first)
    [item] = rater.get("/rating/recent", project="default").json()["items"]
    assert item["judgment"]["id"] == first["id"]
    back = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "supersedes": first["id"], "skip_reason": "mistake"}
    assert rater.post("/rating/submit", back).json()["status"] == "skipped"
    assert house.store.counts(Queue()).have == 0


def test_a_lease_of_somebody_else_opens_nothing(house: House) -> None:
    house.add_tasks(2)
    one, two = house.person(), house.person()
    [mine], [theirs] = one.next(), two.next()
    assert mine["task_id"] != theirs["task_id"]
    stolen = one.post("/rating/submit", ranking(mine, token=theirs["token"]))
    assert stolen.status_code == 409
    assert "lease" in stolen.json()["error"]["what"]
    assert one.post("/rating/renew", {"token": theirs["token"]}).status_code == 409
    assert _kept(house) == []
    assert two.post("/rating/submit", ranking(theirs)).json()["status"] == "stored"


def test_an_expired_lease_still_counts_where_nobody_took_the_place(house: House) -> None:
    house.add_tasks(1)
    rater, other = house.person(), house.person()
    [item] = rater.next()
    house.clock.now += 3600
    assert rater.post("/rating/submit", ranking(item)).json()["status"] == "stored"
    assert other.next() == []


def test_an_expired_lease_that_somebody_took_over_is_surplus_not_lost(house: House) -> None:
    house.add_tasks(1)
    slow, quick = house.person(), house.person()
    [mine] = slow.next()
    house.clock.now += 3600
    [theirs] = quick.next()
    assert quick.post("/rating/submit", ranking(theirs)).json()["status"] == "stored"
    assert slow.post("/rating/submit", ranking(mine)).json()["status"] == "surplus"
    assert len(_kept(house)) == 2


def test_a_lease_is_renewed_while_it_is_held(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    house.clock.now += 600
    assert rater.post("/rating/renew", {"token": item["token"]}).json() == {"expires_at": house.clock() + 900}
    assert rater.post("/rating/renew", {"token": "no such token"}).status_code == 409


@pytest.mark.parametrize(
    "task", ["default-1", "no-such-task", "default-0' OR '1'='1", "../default-0", "\u202e", "t" * 200]
)
def test_a_task_that_was_not_given_to_the_rater_is_unknown_to_them(house: House, task: str) -> None:
    house.add_tasks(2)
    rater = house.person()
    house.store.add_tasks([a_task(7)], now=house.clock())
    items = {item["task_id"]: item for item in rater.next(limit=1)}
    if task in items:
        task = "default-7"
    [item] = items.values()
    response = rater.post("/rating/submit", ranking(item, task_id=task))
    assert response.status_code == 404, response.text
    assert _kept(house) == []


def test_nobody_says_who_they_are_or_what_was_shown(house: House) -> None:
    house.add_tasks(1)
    rater, other = house.person(), house.person()
    [item] = rater.next()
    assert other.account is not None
    for forged in ({"rater_id": other.account.rater_id}, {"order_shown": []}, {"purpose": "evaluation"}):
        response = rater.post("/rating/submit", ranking(item) | forged)
        assert response.status_code == 422, response.text
        assert next(iter(forged)) in response.json()["error"]["what"]
    assert _kept(house) == []


def _of(item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return ranking(item) | fields


BAD_VALUES: dict[str, Any] = {
    "unknown answer": lambda i: _of(i, ranking={"tiers": [[*_ids(i), "c-forged"]]}),
    "missing answer": lambda i: _of(i, ranking={"tiers": [_ids(i)[:-1]]}),
    "answer twice": lambda i: _of(i, ranking={"tiers": [_ids(i), _ids(i)[:1]]}),
    "empty tier": lambda i: _of(i, ranking={"tiers": [_ids(i), []]}),
    "no tier": lambda i: _of(i, ranking={"tiers": []}),
    "letters": lambda i: _of(i, ranking={"tiers": [["A"], ["B"], ["C"], ["D"]]}),
    "strength of 9": lambda i: _of(i, ranking={"tiers": [_ids(i)[:2], _ids(i)[2:]], "strengths": [9]}),
    "strengths too many": lambda i: _of(i, ranking={"tiers": [_ids(i)], "strengths": [1]}),
    "unknown flag": lambda i: _of(i, flags={_ids(i)[0]: ["ugly"]}),
    "flag on nothing": lambda i: _of(i, flags={"c-forged": ["unsafe"]}),
    "unknown criterion": lambda i: _of(i, scores={_ids(i)[0]: {"beauty": 1}}),
    "score off the scale": lambda i: _of(i, scores={_ids(i)[0]: {"helpful": 4}}),
    "half a score": lambda i: _of(i, scores={_ids(i)[0]: {"helpful": 1.5}}),
    "zero for nothing": lambda i: _of(i, scores={_ids(i)[0]: {"helpful": 0}}),
    "note on nothing": lambda i: _of(i, notes=[{"completion_id": "c-forged", "text": "x"}]),
    "edit of nothing": lambda i: _of(i, edits={"c-forged": "x"}),
    "negative time": lambda i: _of(i, seconds=-1),
    "eternal time": lambda i: _of(i, seconds=1e9),
    "reason with ranking": lambda i: _of(i, skip_reason="unclear"),
    "number for text": lambda i: _of(i, critique=7),
    "text for tiers": lambda i: _of(i, ranking="A > B"),
    "list for body": lambda i: [ranking(i)],
    "NUL": lambda i: _of(i, critique="a\x00b"),
    "NUL deep inside": lambda i: _of(i, activity={"a": ["\x00"]}),
    "no id": lambda i: _of(i, id=""),
    "long id": lambda i: _of(i, id="x" * 201),
    "unknown field": lambda i: _of(i, is_admin=True),
    "long critique": lambda i: _of(i, critique="x" * 100_001),
}


def _ids(item: dict[str, Any]) -> list[str]:
    return [answer["id"] for answer in item["answers"]]


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_bad_value_is_told_what_and_what_to_do_and_nothing_is_kept(house: House, name: str) -> None:
    house.add_tasks(1)
    criterion = Criterion(name="helpful", question="?", anchors=("no", "partly", "yes"))
    house.store.projects.save("default", ProjectSettings(criteria=(criterion,)), now=house.clock())
    rater = house.person()
    [item] = rater.next()
    response = rater.post("/rating/submit", BAD_VALUES[name](item))
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    assert set(error) == {"what", "do"} and error["what"] and error["do"]
    assert "Traceback" not in response.text and "pydantic" not in response.text
    assert _kept(house) == []
    assert rater.post("/rating/submit", ranking(item, scores={_ids(item)[0]: {"helpful": 3}})).status_code == 200


RAW_BODIES = {
    "no JSON": b"{",
    "nothing": b"",
    "NaN": b'{"id": "x", "task_id": "default-0", "seconds": NaN}',
    "hidden NaN": b'{"id": "x", "task_id": "default-0", "activity": {"a": NaN}}',
    "infinity": b'{"id": "x", "task_id": "default-0", "seconds": 1e999}',
    "half a surrogate": b'{"id": "x", "task_id": "default-0", "critique": "\\ud800"}',
    "half a surrogate as a key": b'{"id": "x", "task_id": "default-0", "activity": {"\\udfff": 1}}',
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "endless nesting": b"[" * 100_000,
    "endless nesting of objects": b'{"a":' * 50_000,
    "a huge number": b'{"seconds": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", RAW_BODIES)
def test_bodies_that_are_no_judgment_are_refused_as_such(house: House, name: str) -> None:
    rater = house.person()
    headers = {"x-csrf-token": rater.csrf, "content-type": "application/json"}
    response = rater.client.post("/rating/submit", content=RAW_BODIES[name], headers=headers)
    assert response.status_code in (400, 422), response.text
    assert set(response.json()["error"]) == {"what", "do"}


@pytest.mark.parametrize("text", WORDS)
def test_texts_are_kept_to_the_letter_and_run_nowhere(house: House, text: str) -> None:
    house.add_tasks(1, text=text)
    rater = house.person()
    [item] = rater.next()
    first = _ids(item)[0]
    said = {"critique": text, "edits": {first: text}, "notes": [{"completion_id": first, "text": text, "quote": text}]}
    body = ranking(item, **said, activity={text: text}, events=[{"kind": text}])
    assert rater.post("/rating/submit", body).json()["status"] == "stored"
    [judgment] = _kept(house)
    assert (judgment.critique, judgment.edits[first], judgment.notes[0].quote) == (text, text, text)
    shown = rater.get("/rating/recent", project="default").json()["items"][0]
    assert shown["judgment"]["critique"] == text
    assert "<script" not in "".join(a["html"] for a in shown["answers"])


def test_only_unusable_answers_may_stay_without_a_place(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    ids = _ids(item)
    body = ranking(item, ranking={"tiers": [ids[:3]]}, flags={ids[3]: ["unusable"]})
    assert rater.post("/rating/submit", body).json()["status"] == "stored"


def test_a_critique_of_blanks_says_nothing(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    said = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "critique": "  \n ", "flags": {_ids(item)[0]: []}}
    assert rater.post("/rating/submit", said).json()["status"] == "skipped"


def test_what_a_project_does_not_ask_for_is_not_taken(house: House) -> None:
    house.add_tasks(1)
    settings = ProjectSettings(flags=("unsafe",), strengths=False, critique=False, edits=False)
    house.store.projects.save("default", settings, now=house.clock())
    rater = house.person()
    [item] = rater.next()
    ids = _ids(item)
    unasked = [
        {"critique": "x"},
        {"notes": [{"completion_id": ids[0], "text": "x"}]},
        {"edits": {ids[0]: "x"}},
        {"flags": {ids[0]: ["unusable"]}},
        {"ranking": {"tiers": [ids[:2], ids[2:]], "strengths": [2]}},
    ]
    assert [rater.post("/rating/submit", ranking(item, **more)).status_code for more in unasked] == [422] * 5
    assert rater.post("/rating/submit", ranking(item)).status_code == 200


def test_projects_of_others_are_closed(house: House) -> None:
    house.add_tasks(1)
    house.add_tasks(1, project="other")
    rater = house.person(projects=("default",))
    statuses = {path: rater.get(path, project="other").status_code for path in ("/rating/next", "/rating/recent")} | {
        path: rater.client.get(path).status_code for path in ("/rate/other", "/guidelines/other")
    }
    assert set(statuses.values()) == {403}
    assert "other" not in rater.page("/").split('<main id="main"')[1]
    assert house.person().get("/rating/next", project="nowhere").status_code == 404


def test_a_closed_project_gives_no_tasks_but_takes_what_was_begun(house: House) -> None:
    house.add_tasks(3)
    rater = house.person()
    [item] = rater.next()
    house.store.projects.save("default", ProjectSettings(is_open=False), now=house.clock())
    assert rater.post("/rating/submit", ranking(item)).json()["status"] == "stored"
    assert rater.next() == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1000}, {"limit": "x"}, {"purpose": "fun"}, {"project": ""}])
def test_questions_out_of_range_are_refused(house: House, query: dict[str, Any]) -> None:
    house.add_tasks(1)
    response = house.person().get("/rating/next", **({"project": "default"} | query))
    assert response.status_code in (404, 422)
    assert set(response.json()["error"]) == {"what", "do"}


def test_guidelines_come_rendered_with_their_version_and_the_judgment_remembers_it(house: House) -> None:
    house.add_tasks(1)
    house.store.projects.publish_guideline("default", "Be **kind**. <b>no</b>", now=house.clock())
    rater = house.person()
    answer = rater.get("/rating/next", project="default").json()
    assert answer["items"][0]["guideline_version"] == 1
    assert answer["project"]["guideline"]["version"] == 1
    assert "<strong>kind</strong>" in answer["project"]["guideline"]["html"]
    assert "<b>" not in answer["project"]["guideline"]["html"]


def test_translation_by_the_browser_and_the_page_log_are_kept(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    rater.post("/rating/submit", ranking(item, translated=True, activity={"active": 12.5}, events=[{"kind": "place"}]))
    [row] = house.store.said("default")
    assert row.is_translated is True
    assert json.loads(json.dumps(rater.get("/rating/recent", project="default").json()))


def test_what_waits_goes_down_by_what_one_does_and_is_counted_anew_before_long(house: House) -> None:
    house.add_tasks(6)
    rater, other = house.person(), house.person()
    seen = []
    for _ in range(3):
        answer = rater.get("/rating/next", project="default", limit=1).json()
        seen.append((answer["progress"]["done"], answer["progress"]["waiting"]))
        rater.post("/rating/submit", ranking(answer["items"][0]))
    assert seen == [(0, 5), (1, 4), (2, 3)]
    for item in other.next(limit=2):
        other.post("/rating/submit", ranking(item))
    house.clock.now += 30
    counted = rater.get("/rating/next", project="default", limit=1).json()["progress"]
    exact = house.store.rater_progress(_id(rater), Queue(), now=house.clock())
    assert (counted["done"], counted["waiting"]) == (exact.done, exact.waiting)


def _id(visitor: Visitor) -> str:
    assert visitor.account is not None
    return visitor.account.rater_id
