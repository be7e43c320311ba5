"""What people and programs try with ids and tabs of others and their own: a clear answer each time, nothing lost."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from rating_visitors import House, ranking

from assent.feedback.records.queue import Queue


def _all(house: House) -> dict[str, Any]:
    return {j.id: j for j in house.store.judgments(Queue(), with_superseded=True)}


def _turned(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A ranking that is the reverse of `ranking`."""
    ids = [answer["id"] for answer in reversed(item["answers"])]
    return ranking(item, ranking={"tiers": [[i] for i in ids]}, **more)


def test_a_judgment_of_somebody_else_cannot_be_corrected_or_taken_back(house: House) -> None:
    house.add_tasks(1, slots=2)
    author, other = house.person(), house.person()
    first = ranking(author.next()[0])
    author.post("/rating/submit", first)
    [item] = other.next()
    back = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "token": item["token"], "skip_reason": "other"}
    for forged in (_turned(item, supersedes=first["id"]), back | {"supersedes": first["id"]}):
        response = other.post("/rating/submit", forged)
        assert response.status_code == 409, response.text
        assert author.account is not None and author.account.rater_id not in response.text
    assert list(_all(house)) == [first["id"]]
    assert other.post("/rating/submit", _turned(item)).json()["status"] == "stored", "their own word still counts"


def test_the_id_of_somebody_elses_judgment_neither_changes_nor_shows_it(house: House) -> None:
    house.add_tasks(1, slots=2)
    author, other = house.person(), house.person()
    first = ranking(author.next()[0], critique="only for those who run this")
    author.post("/rating/submit", first)
    [item] = other.next()
    for body in (_turned(item, id=first["id"]), ranking(item, id=first["id"], critique=first["critique"])):
        response = other.post("/rating/submit", body)
        assert response.status_code == 409, response.text
        assert "only for those" not in response.text
    assert [j.critique for j in _all(house).values()] == [first["critique"]]
    assert other.post("/rating/submit", _turned(item)).json()["status"] == "stored"


def test_one_id_with_another_content_is_a_conflict_and_the_first_content_stays(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    first = ranking(item)
    assert rater.post("/rating/submit", first).json()["status"] == "stored"
    assert rater.post("/rating/submit", _turned(item, id=first["id"])).status_code == 409
    assert rater.post("/rating/submit", first | {"seconds": 99.0}).status_code == 409
    [kept] = _all(house).values()
    assert [list(tier) for tier in kept.ranking.tiers] == first["ranking"]["tiers"]


def test_of_many_tabs_that_submit_at_the_same_moment_one_is_kept(house: House) -> None:
    house.add_tasks(1, slots=3)
    rater = house.person()
    [item] = rater.next()
    bodies = [ranking(item) for _ in range(6)]
    answers: list[Any] = []
    together = threading.Barrier(len(bodies))

    def tab(body: dict[str, Any]) -> None:
        together.wait()
        answers.append(rater.post("/rating/submit", body))

    tabs = [threading.Thread(target=tab, args=(body,)) for body in bodies]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    [kept] = _all(house)
    assert {answer.json()["current"]["id"] for answer in answers if answer.status_code == 409} == {kept}
    assert house.store.counts(Queue()).have == 1


def test_a_lease_on_one_task_is_none_on_another(house: House) -> None:
    house.add_tasks(2)
    rater = house.person()
    one, two = rater.next(limit=2)
    assert rater.post("/rating/submit", ranking(one, token=two["token"])).status_code == 409
    assert _all(house) == {}
    assert [rater.post("/rating/submit", ranking(i)).json()["status"] for i in (one, two)] == ["stored", "stored"]


def test_a_token_that_was_never_given_out_is_worth_as_much_as_none(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    assert rater.post("/rating/submit", ranking(item, token="' OR 1=1 --")).json()["status"] == "stored"
    assert house.store.counts(Queue()).have == 1, "it filled the slot that this rater holds, and no other"


def test_what_was_taken_back_cannot_be_taken_back_again_from_an_old_tab(house: House) -> None:
    house.add_tasks(1)
    rater = house.person()
    [item] = rater.next()
    first = ranking(item)
    rater.post("/rating/submit", first)
    back = {"task_id": item["task_id"], "supersedes": first["id"], "skip_reason": "mistake"}
    assert rater.post("/rating/submit", back | {"id": str(uuid.uuid4())}).json()["status"] == "skipped"
    assert rater.post("/rating/submit", back | {"id": str(uuid.uuid4())}).status_code == 409
    assert len(_all(house)) == 2


def test_somebody_who_was_erased_says_nothing_more(house: House) -> None:
    house.add_tasks(2)
    rater = house.person()
    one, two = rater.next(limit=2)
    rater.post("/rating/submit", ranking(one))
    assert rater.account is not None
    house.store.erase_rater(rater.account.rater_id, now=house.clock())
    response = rater.post("/rating/submit", ranking(two))
    assert response.status_code == 401, response.text
    assert not [j for j in _all(house).values() if j.task_id == two["task_id"]]
    assert len(house.person().next(limit=2)) == 2, "what they held goes to others"
