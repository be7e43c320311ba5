"""The JSON API: tasks in, judgments through, files out and in, each for the roles it is for, and clear refusals."""

from __future__ import annotations

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from rating_visitors import House

from assent.core.types import Rater
from assent.feedback.records.queue import Queue

API = "/api/v1"
ROLES = ("rater", "adjudicator", "admin")


def _tasks(count: int = 2, answers: int = 3) -> list[dict[str, Any]]:
    return [
        {"prompt": f"question {n}", "answers": [f"answer {i} to {n}" for i in range(answers)], "id": f"t-{n:03}"}
        for n in range(count)
    ]


def _ok(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def _refused(response: Any, status: int, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body["error"]) == {"what", "do"} and body["error"]["what"]
    for word in words:
        assert word in f"{body['error']['what']} {body['error']['do']}"
    return dict(body)


def _filled(house: House, count: int = 2) -> Any:
    """A program of an admin, with a project of some tasks."""
    admin = house.program("admin")
    _ok(admin.put(f"{API}/projects/p", json={"title": "P", "gold_share": 0, "repeat_share": 0, "overlap_share": 0}))
    _ok(admin.post(f"{API}/projects/p/tasks", json={"tasks": _tasks(count)}))
    return admin


def _judge(program: Any, **more: Any) -> dict[str, Any]:
    """Claim a task and rank its answers as shown."""
    (item,) = _ok(program.post(f"{API}/projects/p/claim", json={}))["items"]
    said = {"id": str(uuid.uuid4()), "task_id": item["task_id"], "token": item["token"]}
    tiers = [[answer["id"]] for answer in item["answers"]]
    return said | {"ranking": {"tiers": tiers}} | more


def test_a_bot_claims_judges_and_its_judgment_is_listed(house: House) -> None:
    admin, bot = _filled(house), house.program("rater")
    said = _judge(bot, critique="fine", seconds=2.5)
    assert _ok(bot.post(f"{API}/judgments", json=said))["status"] == "stored"
    assert _ok(bot.post(f"{API}/judgments", json=said))["status"] == "known"
    (listed,) = _ok(admin.get(f"{API}/projects/p/judgments"))["items"]
    me = _ok(bot.get(f"{API}/me"))
    assert listed["id"] == said["id"] and listed["rater_id"] == me["rater_id"] and listed["outcome"] == "ranked"
    assert listed["ranking"]["tiers"] == said["ranking"]["tiers"]
    # The order of display is what the server showed, not what anybody says.
    assert listed["order_shown"] == [i for tier in said["ranking"]["tiers"] for i in tier]
    assert _ok(admin.get(f"{API}/projects/p/progress")) == {"have": 1, "need": 2}


def test_the_same_tasks_again_add_nothing_and_ids_come_from_content(house: House) -> None:
    admin = _filled(house)
    assert _ok(admin.post(f"{API}/projects/p/tasks", json={"tasks": _tasks()}))["known"] == 2
    nameless = [{"prompt": [{"role": "user", "content": "Hi"}], "answers": ["a", {"text": "b", "source": "m"}]}]
    first = _ok(admin.post(f"{API}/projects/p/tasks", json={"tasks": nameless}))
    again = _ok(admin.post(f"{API}/projects/p/tasks", json={"tasks": nameless}))
    assert (first["added"], again["added"]) == (1, 0) and first["ids"] == again["ids"]
    changed = [{**_tasks()[0], "answers": ["something", "else"]}]
    _refused(admin.post(f"{API}/projects/p/tasks", json={"tasks": changed}), 409, "t-000", "other content")


def test_overlap_comes_from_the_project_unless_slots_are_given(house: House) -> None:
    admin = house.program("admin")
    _ok(admin.put(f"{API}/projects/p", json={"overlap_share": 0.5, "overlap": 3}))
    _ok(admin.post(f"{API}/projects/p/tasks", json={"tasks": _tasks(4)}))
    assert house.store.counts(Queue("p")).need == 2 * 3 + 2
    _ok(admin.put(f"{API}/projects/q", json={}))
    _ok(admin.post(f"{API}/projects/q/tasks", json={"tasks": [{**_tasks(1)[0], "id": "other"}], "slots": 5}))
    assert house.store.counts(Queue("q")).need == 5


def test_pages_give_everything_once_also_while_more_is_added(house: House) -> None:
    admin = _filled(house, 7)
    seen, cursor = [], None
    while True:
        page = _ok(admin.get(f"{API}/projects/p/tasks", params={"limit": 3} | ({"cursor": cursor} if cursor else {})))
        seen += [task["id"] for task in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        _ok(admin.post(f"{API}/projects/p/tasks", json={"tasks": [{**_tasks(1)[0], "id": f"a-{len(seen)}"}]}))
    assert seen == [f"t-{n:03}" for n in range(7)]
    for bad in ("nonsense", "W10", "WzFd", "WyJcdWQ4MDAiXQ", "W05hTl0"):
        _refused(admin.get(f"{API}/projects/p/tasks", params={"cursor": bad}), 422, "cursor")


def test_a_correction_supersedes_and_both_can_be_read(house: House) -> None:
    admin, bot = _filled(house), house.program("rater")
    first = _judge(bot)
    _ok(bot.post(f"{API}/judgments", json=first))
    second = {**first, "id": str(uuid.uuid4()), "supersedes": first["id"], "critique": "on second thought"}
    _ok(bot.post(f"{API}/judgments", json=second))
    current = _ok(admin.get(f"{API}/projects/p/judgments"))["items"]
    every = _ok(admin.get(f"{API}/projects/p/judgments", params={"superseded": True}))["items"]
    assert [j["id"] for j in current] == [second["id"]]
    assert {j["id"]: j["superseded_by"] for j in every} == {first["id"]: second["id"], second["id"]: None}


def test_what_was_not_shown_to_a_bot_it_cannot_judge(house: House) -> None:
    _, bot, other = _filled(house, 1), house.program("rater"), house.program("rater")
    said = _judge(bot)
    _refused(other.post(f"{API}/judgments", json=said), 404, "not given to you")
    _refused(bot.post(f"{API}/judgments", json={**said, "task_id": "t-999"}), 404)
    ids = [i for tier in said["ranking"]["tiers"] for i in tier]
    _refused(bot.post(f"{API}/judgments", json={**said, "ranking": {"tiers": [[ids[0]], ["x"]]}}), 422, "x")
    _refused(bot.post(f"{API}/judgments", json={**said, "ranking": {"tiers": [[ids[0]]]}}), 422, "leaves out")
    _refused(bot.post(f"{API}/judgments", json={**said, "rater_id": "somebody"}), 403, "another rater")
    assert house.store.judgments(Queue("p")) == []


def test_an_admins_program_acts_for_registered_raters_only(house: House) -> None:
    admin = _filled(house, 2)
    _refused(admin.post(f"{API}/projects/p/claim", json={"rater_id": "judge-7"}), 404, "register")
    _ok(admin.post(f"{API}/raters", json={"id": "judge-7", "kind": "autorater"}))
    (item,) = _ok(admin.post(f"{API}/projects/p/claim", json={"rater_id": "judge-7"}))["items"]
    tiers = [[answer["id"] for answer in item["answers"]]]
    said = {"id": "j", "task_id": item["task_id"], "token": item["token"], "ranking": {"tiers": tiers}}
    assert _ok(admin.post(f"{API}/judgments", json={**said, "rater_id": "judge-7"}))["status"] == "stored"
    (kept,) = house.store.judgments(Queue("p"))
    assert kept.rater_id == "judge-7"


def test_attributes_of_people_need_consent_and_are_the_persons_own(house: House) -> None:
    admin, person, other = house.program("admin"), house.program("rater"), house.program("rater")
    mine = _ok(person.get(f"{API}/me"))["rater_id"]
    path = f"{API}/raters/{mine}/attributes"
    _refused(person.put(path, json={"attributes": {"region": "north"}}), 422, "consent")
    _refused(other.put(path, json={"attributes": {"region": "north"}, "consent": "v1"}), 403)
    assert _ok(person.put(path, json={"attributes": {"region": "north"}, "consent": "v1"}))["attributes"] == {
        "region": "north"
    }
    assert _ok(person.get(f"{API}/raters/{mine}"))["attributes"] == {"region": "north"}
    found = {one["id"]: one["attributes"] for one in _ok(admin.get(f"{API}/raters"))["items"]}
    assert found[mine] == {"region": "north"}


def test_erasing_says_what_rested_on_the_rater(house: House) -> None:
    admin, bot, other = _filled(house, 1), house.program("rater"), house.program("rater")
    _ok(bot.post(f"{API}/judgments", json=_judge(bot)))
    mine = _ok(bot.get(f"{API}/me"))["rater_id"]
    taken = _ok(admin.post(f"{API}/projects/p/snapshots", json={"name": "monday"}))
    assert taken["judgments"] == 1 and taken["touched_at"] is None
    _refused(other.delete(f"{API}/raters/{mine}"), 403)
    _refused(bot.delete(f"{API}/raters/{mine}"), 403)
    erasure = _ok(admin.delete(f"{API}/raters/{mine}"))
    assert erasure["judgments"] == 1 and erasure["snapshots"] == [{"name": "monday", "hash": taken["hash"]}]
    _refused(bot.get(f"{API}/me"), 401)
    assert [one["touched_at"] is None for one in _ok(admin.get(f"{API}/projects/p/snapshots"))] == [False]
    _refused(admin.delete(f"{API}/raters/{mine}"), 404)
    _refused(admin.get(f"{API}/projects/p/exports/assent", params={"snapshot": taken["hash"]}), 422, "erased")


def test_exports_carry_their_losses_and_no_name_becomes_a_path(house: House) -> None:
    admin, bot = _filled(house, 2), house.program("rater")
    said = _judge(bot, critique="so it is")
    ids = [i for tier in said["ranking"]["tiers"] for i in tier]
    _ok(bot.post(f"{API}/judgments", json={**said, "ranking": {"tiers": [ids[:1], ids[1:]]}}))
    response = admin.get(f"{API}/projects/p/exports/trl", params={"ending": ".jsonl.gz"})
    assert response.headers["content-type"] == "application/gzip"
    assert response.headers["content-disposition"] == 'attachment; filename="p-reward.trl.jsonl.gz"'
    assert len(gzip.decompress(response.content).splitlines()) == 2
    report = json.loads(response.headers["assent-loss-report"])
    assert report["losses"]["ties dropped"] == 1 and "1 critique dropped" in report["lines"]
    assert _ok(admin.get(f"{API}/projects/p/exports/trl/losses")) == report
    _refused(admin.get(f"{API}/projects/p/exports/nothing"), 404, "trl")
    _refused(admin.get(f"{API}/projects/p/exports/oasst", params={"ending": ".parquet"}), 422, "ending in .jsonl")
    _refused(admin.get(f"{API}/projects/p/exports/trl", params={"ending": "/../../x"}), 422)
    for name in ("..%2F..%2Fetc", "..", "%2Fetc%2Fpasswd", "a%00b"):
        assert admin.put(f"{API}/projects/{name}", json={}).status_code in (400, 404, 405, 422)
    house.store.projects.save('../../x"\r\n', house.store.projects.get("p").settings, now=0)
    odd = admin.get(f"{API}/projects/..%2F..%2Fx%22%0D%0A/exports/trl")
    assert odd.status_code in (404, 422)


def test_what_is_exported_comes_back_in_another_store_once(house: House, tmp_path: Path) -> None:
    admin, bot = _filled(house, 2), house.program("rater")
    for _ in range(2):
        _ok(bot.post(f"{API}/judgments", json=_judge(bot)))
    params = {"ending": ".parquet"}
    content = admin.get(f"{API}/projects/p/exports/assent", params=params).content
    with House.open(f"sqlite:///{tmp_path}/other.db") as other:
        there = other.program("admin")
        _ok(there.put(f"{API}/projects/q", json={}))
        counts = [_ok(there.post(f"{API}/projects/q/imports", params=params, content=content)) for _ in range(2)]
        assert [(c["added"], c["known"]) for c in counts] == [(2, 0), (0, 2)]
        here, brought = house.store.comparisons(Queue("p")), other.store.comparisons(Queue("q"))
        said = [{c.prompt.id: c.judgments[0].ranking for c in comparisons} for comparisons in (here, brought)]
        assert said[0] == said[1] and len(said[0]) == 2


def test_a_broken_import_says_the_line_and_brings_in_nothing(house: House) -> None:
    admin = house.program("admin")
    _ok(admin.put(f"{API}/projects/q", json={}))
    good = '{"prompt": "Say hello.", "answers": ["Hello!", "Go away."], "ranks": [1, 2]}'
    for broken, word in (
        ("{not json", "not valid JSON"),
        ('{"prompt": "x", "answers": ["a"], "ranks": [1]}', "at least two"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "not valid JSON"),
    ):
        body = f"{good}\n{broken}\n"
        said = _refused(admin.post(f"{API}/projects/q/imports", content=body.encode()), 422, "body.jsonl:2", word)
        assert "/tmp" not in said["error"]["what"]
    _refused(admin.post(f"{API}/projects/q/imports", content=b""), 422, "no body")
    _refused(admin.post(f"{API}/projects/q/imports?ending=.parquet", content=b"PAR1nothing"), 422, "Parquet")
    assert house.store.comparisons(Queue("q")) == []
    counts = _ok(admin.post(f"{API}/projects/q/imports", content=good.encode()))
    assert {name: n for name, n in counts.items() if n} == {"comparisons": 1, "added": 1, "new_raters": 1}
    assert counts["known"] == counts["decisions"] == 0


def test_gold_and_decisions(house: House) -> None:
    admin, adjudicator = _filled(house), house.program("adjudicator")
    ids = [c["id"] for c in _ok(admin.get(f"{API}/tasks/t-000"))["completions"]]
    gold = {"ranking": {"tiers": [ids[:1], ids[1:]]}, "note": "obvious"}
    _ok(admin.put(f"{API}/tasks/t-000/gold", json=gold))
    (listed,) = _ok(adjudicator.get(f"{API}/projects/p/gold"))
    assert listed["task_id"] == "t-000" and listed["note"] == "obvious"
    assert [_ok(admin.delete(f"{API}/tasks/t-000/gold"))["removed"] for _ in range(2)] == [True, False]
    decision = {"task_id": "t-001", "ranking": None, "reason": "cannot be told"}
    made = _ok(adjudicator.post(f"{API}/adjudications", json=decision))
    assert made["adjudicator_id"] == _ok(adjudicator.get(f"{API}/me"))["rater_id"]
    assert _ok(adjudicator.get(f"{API}/projects/p/adjudications")) == [made]
    _refused(adjudicator.post(f"{API}/adjudications", json={**decision, "task_id": "none"}), 404)


def test_settings_are_changed_one_by_one_and_guidelines_have_versions(house: House) -> None:
    admin = _filled(house)
    changed = _ok(admin.patch(f"{API}/projects/p", json={"settings": {"overlap": 4}}))
    assert (changed["settings"]["overlap"], changed["settings"]["title"]) == (4, "P")
    _refused(admin.patch(f"{API}/projects/p", json={"settings": {"overlapp": 4}}), 422, "overlapp")
    _refused(admin.patch(f"{API}/projects/p", json={"settings": {"overlap": 0}}), 422, "overlap")
    for text in ("Be kind.", "Be kind and right.", "Be kind and right."):
        _ok(admin.post(f"{API}/projects/p/guidelines", json={"text": text}))
    assert [g["version"] for g in _ok(admin.get(f"{API}/projects/p/guidelines"))] == [1, 2]
    assert _ok(admin.get(f"{API}/projects/p"))["guideline"]["text"] == "Be kind and right."


def test_statistics_are_plain_json(house: House) -> None:
    admin, bot = _filled(house), house.program("rater")
    _ok(bot.post(f"{API}/judgments", json=_judge(bot)))
    found = _ok(admin.get(f"{API}/projects/p/statistics"))
    assert found["counts"] == {"have": 1, "need": 2} and found["project"] == "p"


def test_tokens_never_give_more_than_the_token_that_makes_them(house: House) -> None:
    admin = house.program("admin")
    weak = _ok(admin.post(f"{API}/tokens", json={"name": "weak", "role": "rater"}))
    assert weak["role"] == "rater" and weak["token"].startswith("assent_")
    bearer = {"authorization": f"Bearer {weak['token']}"}
    wanted = {"name": "more", "role": "admin"}
    made = _ok(admin.post(f"{API}/tokens", json=wanted, headers=bearer))
    assert made["role"] == "rater"
    _refused(admin.get(f"{API}/raters", headers=bearer), 403)
    assert "token" not in _ok(admin.get(f"{API}/tokens"))[0]
    _refused(house.program("rater").delete(f"{API}/tokens/{weak['id']}"), 404)
    assert _ok(admin.delete(f"{API}/tokens/{weak['id']}"))["removed"]
    _refused(admin.get(f"{API}/me", headers=bearer), 401, "not valid")


def test_invitations_are_told_once(house: House) -> None:
    admin = _filled(house)
    made = _ok(admin.post(f"{API}/invitations", json={"project": "p", "max_uses": 2, "note": "friends"}))
    assert made["link"].startswith("/join/")
    assert house.visitor().client.get(made["link"], headers={"accept": "text/html"}).status_code == 200
    assert "link" not in _ok(admin.get(f"{API}/invitations"))[0]
    assert _ok(admin.delete(f"{API}/invitations/{made['id']}"))["removed"]
    assert house.visitor().client.get(made["link"], headers={"accept": "text/html"}).status_code == 404


def test_webhooks_keep_their_secret_and_lead_nowhere_inside(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = _filled(house)
    for url in ("http://127.0.0.1:9/", "http://localhost/", "http://169.254.169.254/latest/meta-data", "ftp://x/"):
        _refused(admin.post(f"{API}/webhooks", json={"url": url, "event": "finished", "project": "p"}), 422)
    monkeypatch.setenv("ASSENT_PRIVATE_WEBHOOKS", "1")
    hook = {"url": "http://127.0.0.1:9/", "event": "judgments", "project": "p", "threshold": 10}
    made = _ok(admin.post(f"{API}/webhooks", json=hook))
    assert made["secret"].startswith("whsec_")
    (listed,) = _ok(admin.get(f"{API}/webhooks"))
    assert "secret" not in listed and made["secret"] not in str(listed)
    assert _ok(admin.get(f"{API}/webhooks/{made['id']}/deliveries")) == []
    _refused(admin.post(f"{API}/webhooks", json={**hook, "threshold": None}), 422, "threshold")
    assert [_ok(admin.delete(f"{API}/webhooks/{made['id']}"))["removed"] for _ in range(2)] == [True, False]


NEEDS = [
    ("GET", "/events", "admin"),
    ("GET", "/projects/p/tasks", "adjudicator"),
    ("GET", "/tasks/t-000", "adjudicator"),
    ("GET", "/projects/p/judgments", "adjudicator"),
    ("GET", "/projects/p/progress", "adjudicator"),
    ("GET", "/projects/p/statistics", "adjudicator"),
    ("GET", "/projects/p/contents", "admin"),
    ("GET", "/projects/p/work", "admin"),
    ("GET", "/work", "admin"),
    ("GET", "/projects/p/gold", "adjudicator"),
    ("GET", "/projects/p/adjudications", "adjudicator"),
    ("POST", "/projects/p/tasks", "admin"),
    ("PUT", "/projects/p", "admin"),
    ("PATCH", "/projects/p", "admin"),
    ("POST", "/projects/p/guidelines", "admin"),
    ("PUT", "/projects/p/priorities", "admin"),
    ("PUT", "/tasks/t-000/gold", "admin"),
    ("DELETE", "/tasks/t-000/gold", "admin"),
    ("GET", "/raters", "admin"),
    ("POST", "/raters", "admin"),
    ("GET", "/projects/p/snapshots", "admin"),
    ("POST", "/projects/p/snapshots", "admin"),
    ("GET", "/formats", "admin"),
    ("GET", "/projects/p/exports/trl", "admin"),
    ("GET", "/projects/p/exports/trl/losses", "admin"),
    ("POST", "/projects/p/imports", "admin"),
    ("GET", "/accounts", "admin"),
    ("PATCH", "/accounts/bot", "admin"),
    ("POST", "/accounts/bot/link", "admin"),
    ("GET", "/invitations", "admin"),
    ("POST", "/invitations", "admin"),
    ("DELETE", "/invitations/1", "admin"),
    ("GET", "/webhooks", "admin"),
    ("POST", "/webhooks", "admin"),
    ("DELETE", "/webhooks/1", "admin"),
    ("GET", "/webhooks/1/deliveries", "admin"),
]


def test_every_address_is_for_the_roles_it_is_for(house: House) -> None:
    _filled(house)
    programs = {role: house.program(role) for role in ROLES}  # type: ignore[arg-type]
    stranger, wrong = house.visitor().client, []
    for method, path, least in NEEDS:
        _refused(stranger.request(method, API + path), 401)
        for role, program in programs.items():
            status = program.request(method, API + path).status_code
            is_let_in = status not in (401, 403)
            if is_let_in != (ROLES.index(role) >= ROLES.index(least)) or status >= 500:
                wrong.append((method, path, role, status))
    assert not wrong


def test_every_address_but_the_raters_own_is_in_the_list_above(house: House) -> None:
    own = {"/me", "/projects", "/projects/p", "/projects/p/guidelines", "/projects/p/claim", "/leases/renew"}
    own |= {"/leases/release", "/judgments", "/raters/bot", "/raters/bot/attributes", "/tokens", "/tokens/1"}
    names = {"project": "p", "task_id": "t-000", "rater_id": "bot", "format": "trl", "number": "1", "name": "g"}
    elsewhere = ("/groups", "/participants", "/qualifications", "state")  # in test_rules.py
    described = [path for path in house.app.openapi()["paths"] if not any(word in path for word in elsewhere)]
    paths = {path.removeprefix(API).format(**names) for path in described if path.startswith(API)}
    assert paths - own - {"/adjudications"} == {path for _, path, _ in NEEDS} - own


def test_a_project_a_rater_is_not_in_is_closed_to_their_program(house: House) -> None:
    _filled(house)
    account = house.store.accounts.create("guest", "rater", projects=("other",), now=house.clock())
    token = house.store.accounts.tokens.add(account.rater_id, "t", now=house.clock()).token
    guest, bearer = house.visitor().client, {"authorization": f"Bearer {token}"}
    assert _ok(guest.get(f"{API}/projects", headers=bearer)) == []
    _refused(guest.get(f"{API}/projects/p", headers=bearer), 403)
    _refused(guest.post(f"{API}/projects/p/claim", json={}, headers=bearer), 403)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"tasks": []}, "tasks"),
        ({"tasks": [{"prompt": "x", "answers": ["one"]}]}, "2 to 9 answers"),
        ({"tasks": [{"prompt": "x", "answers": ["a", "b", "c"], "kind": "pair"}]}, "2 answers, got 3"),
        ({"tasks": [{"prompt": "x", "answers": ["same", "same"]}]}, "same completion twice"),
        ({"tasks": [{"prompt": "x", "answers": ["a", "b"], "more": 1}]}, "more"),
        ({"tasks": 2 * [{"prompt": "x", "answers": ["a", "b"]}]}, "sent twice"),
        ({"tasks": [{"prompt": "x\x00", "answers": ["a", "b"]}]}, "NUL"),
        ({"tasks": [{"prompt": "x", "answers": ["a", "b"], "prompt_meta": {"a": "\ud800"}}]}, "surrogate"),
        ({"tasks": [{"prompt": [], "answers": ["a", "b"]}]}, "prompt"),
        ({"tasks": [{"prompt": "x", "answers": ["a", "b"]}], "slots": 0}, "slots"),
        ({"tasks": [{"prompt": "x", "answers": ["a", "b"]}], "priority": 1e300}, "priority"),
    ],
)
def test_bad_tasks_are_refused_whole_with_their_place(house: House, body: dict[str, Any], words: str) -> None:
    admin = _filled(house, 1)
    good = {"prompt": "good", "answers": ["a", "b"]}
    sent = {**body, "tasks": [good, *body["tasks"]] if body["tasks"] else []}
    response = admin.post(
        f"{API}/projects/p/tasks", content=json.dumps(sent).encode(), headers={"content-type": "application/json"}
    )
    _refused(response, 422, words)
    assert len(house.store.task_ids(Queue("p"))) == 1


def test_queries_are_never_part_of_a_statement(house: House) -> None:
    admin = _filled(house)
    evil = "p' OR '1'='1"
    _refused(admin.get(f"{API}/projects/{evil}/tasks"), 404)
    _refused(admin.get(f"{API}/tasks/{evil}; DROP TABLE task;--"), 404)
    _refused(admin.get(f"{API}/raters/{evil}"), 404)
    assert len(house.store.task_ids(Queue("p"))) == 2
    house.store.register_rater(Rater(id=evil, kind="autorater"), now=0)
    assert _ok(admin.get(f"{API}/raters/{evil}"))["id"] == evil
