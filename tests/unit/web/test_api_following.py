"""Following judgments over the API: each once by the last cursor, and clear lines for cursors that cannot be used."""

from __future__ import annotations

import uuid
from typing import Any

from rating_visitors import House

from assent.web.api.paging import cursor_of

API = "/api/v1"


def _ok(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def _refused(response: Any, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    for word in words:
        assert word in f"{error['what']} {error['do']}"


def _filled(house: House, count: int) -> Any:
    """A program of an admin, with a project of some tasks."""
    admin = house.program("admin")
    _ok(admin.put(f"{API}/projects/p", json={"gold_share": 0, "repeat_share": 0, "overlap_share": 0}))
    tasks = [{"prompt": f"question {n}", "answers": ["one", "two"], "id": f"t-{n}"} for n in range(count)]
    _ok(admin.post(f"{API}/projects/p/tasks", json={"tasks": tasks}))
    return admin


def _judge(program: Any) -> dict[str, Any]:
    """Claim a task and rank its answers as shown."""
    (item,) = _ok(program.post(f"{API}/projects/p/claim", json={}))["items"]
    tiers = [[answer["id"]] for answer in item["answers"]]
    said = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "token": item["token"]}
    return said | {"ranking": {"tiers": tiers}}


def test_the_last_cursor_of_judgments_asks_for_what_is_new(house: House) -> None:
    admin, bot = _filled(house, 3), house.program("rater")
    for _ in range(2):
        _ok(bot.post(f"{API}/judgments", json=_judge(bot)))
        house.clock.now += 1
    page = _ok(admin.get(f"{API}/projects/p/judgments"))
    assert len(page["items"]) == 2
    empty = _ok(admin.get(f"{API}/projects/p/judgments", params={"cursor": page["next"]}))
    assert empty == {"items": [], "next": page["next"]}
    last = _judge(bot)
    _ok(bot.post(f"{API}/judgments", json=last))
    (new,) = _ok(admin.get(f"{API}/projects/p/judgments", params={"cursor": empty["next"]}))["items"]
    assert new["id"] == last["id"]


def test_a_cursor_by_time_and_one_of_another_store_are_refused_in_a_clear_line(house: House) -> None:
    admin, bot = _filled(house, 2), house.program("rater")
    _ok(bot.post(f"{API}/judgments", json=_judge(bot)))
    path = f"{API}/projects/p/judgments"
    by_time, ahead = cursor_of(1767225600.5, "j-1"), cursor_of(10**6, "j-1")
    _refused(admin.get(path, params={"cursor": by_time}), 422, "older version", "begin again without a cursor")
    _refused(admin.get(path, params={"cursor": ahead}), 409, "older copy", "begin again without a cursor")
    for odd in (cursor_of(2**80, "j-1"), cursor_of(1), cursor_of("1", "j-1"), cursor_of(-(2**70), "x")):
        _refused(admin.get(path, params={"cursor": odd}), 422, "cursor")


def test_an_erased_judgment_is_told_to_those_who_follow_and_ask(house: House) -> None:
    admin, bot = _filled(house, 3), house.program("rater")
    path, said = f"{API}/projects/p/judgments", _judge(bot)
    _ok(bot.post(f"{API}/judgments", json=said))
    page = _ok(admin.get(path))
    _ok(admin.delete(f"{API}/raters/{page['items'][0]['rater_id']}"))
    assert _ok(admin.get(path, params={"cursor": page["next"]}))["items"] == []
    (gone,) = _ok(admin.get(path, params={"cursor": page["next"], "erased": True}))["items"]
    assert (gone["id"], gone["outcome"], gone["ranking"]) == (said["id"], "erased", None)
