"""The dashboard and the page of disagreements over HTTP: what they show, how they stay live, what a decision does."""

from __future__ import annotations

import re
from html import unescape

import pytest
from html_seen import Seen
from rating_visitors import PAGE, House, Visitor, a_task

from assent.core.types import Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.web.admin.adjudication import blind_order

PROJECT = "/admin/projects/support"
HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>"'


@pytest.fixture
def house_of_two(house: House) -> House:
    """Two tasks: on the first ann and ben say the opposite, on the second they agree."""
    settings = ProjectSettings(title="Support", gold_share=0, repeat_share=0, cost_per_hour=60.0)
    house.store.projects.save("support", settings, now=house.clock())
    house.store.add_tasks([a_task(n, project="support", answers=3) for n in range(2)], slots=2, now=house.clock())
    for name in ("ann", "ben"):
        house.store.register_rater(Rater(id=name, kind="simulated", attributes={"region": HOSTILE}), now=house.clock())
        for claim in house.store.claim(name, Queue("support"), limit=2, now=house.clock()):
            ids = [completion.id for completion in claim.task.completions]
            if name == "ben" and claim.task.id.endswith("0"):
                ids.reverse()
            judgment = Judgment(
                task_id=claim.task.id,
                rater_id=name,
                id=f"{name}-{claim.task.id}",
                ranking=Ranking(tiers=tuple((i,) for i in ids)),
                seconds=90.0,
                critique=HOSTILE,
                flags={ids[-1]: ("unsafe",)},
            )
            house.store.submit(judgment, token=claim.token, now=house.clock())
    return house


def _panels(visitor: Visitor) -> dict[str, str]:
    response = visitor.client.get(f"{PROJECT}/dashboard.json")
    assert response.status_code == 200, response.text
    panels: dict[str, str] = response.json()["panels"]
    return panels


def _words(html: str) -> str:
    return " ".join(Seen(html).text.split())


def test_the_dashboard_says_what_was_worked_by_hand(house_of_two: House) -> None:
    """Four judgments of 90 s at 60 an hour are 6.00; of six pairs three are said alike."""
    panels = _panels(house_of_two.person("adjudicator"))
    assert "4 of 4" in _words(panels["progress"]) and "Everything is judged" in _words(panels["progress"])
    assert "EUR 6.00" in _words(panels["progress"])
    assert "50\u202f%" in panels["agreement"] and "Krippendorff" in panels["agreement"]
    assert "Disagreements: 1" in _words(panels["disputes"]), "on the second task both flag the same answer"
    assert "100 % apart" in _words(panels["disputes"])
    assert _words(panels["raters"]).count("50 %") >= 2
    assert panels["criteria"] == "", "nobody scored anything"


def test_a_number_that_can_grow_says_so_until_everything_is_judged(house_of_two: House) -> None:
    pages, said = (PROJECT, f"{PROJECT}/tasks"), "first tasks (up to 30) are judged by up to 3 people"
    admin, store, clock = house_of_two.person("admin"), house_of_two.store, house_of_two.clock
    assert not any(said in admin.page(page) for page in pages)
    store.add_tasks([a_task(9, project="support", answers=3)], now=clock())
    clock.now += 60  # the dashboard is counted anew
    assert all(said in admin.page(page) for page in pages)
    settings = store.projects.get("support").settings
    store.projects.save("support", settings.model_copy(update={"newcomer_tasks": 0}), now=clock())
    clock.now += 60
    assert not any(said in admin.page(page) for page in pages)


def test_page_and_poll_show_the_same_and_change_when_something_is_decided(house_of_two: House) -> None:
    visitor = house_of_two.person("adjudicator")
    html = visitor.page(PROJECT)
    for name, panel in _panels(visitor).items():
        assert f'data-panel="{name}">{panel}</div>' in html
    visitor.send_form(f"{PROJECT}/adjudicate", task="support-0", do="open", reason="Taste.")
    after = _panels(visitor)
    assert "Disagreements: 0" in _words(after["disputes"])


def test_what_people_wrote_is_shown_as_text(house_of_two: House) -> None:
    visitor = house_of_two.person("adjudicator")
    pages = [visitor.page(PROJECT), visitor.page(f"{PROJECT}/adjudicate?task=support-0"), *_panels(visitor).values()]
    for html in pages:
        seen = Seen(html)
        assert "img" not in seen.tags and not [a for a in seen.attributes if a[1].startswith("on") or a[1] == "style"]
        assert "<script>alert" not in html
    assert "alert(1)" in unescape(pages[1]), "the critique is there to read"


def test_everything_said_is_shown_without_names(house_of_two: House) -> None:
    html = house_of_two.person("adjudicator").page(f"{PROJECT}/adjudicate?task=support-0")
    order = blind_order(house_of_two.store.tasks(["support-0"])["support-0"])
    letters = dict(zip(order, "ABC", strict=True))
    task = house_of_two.store.tasks(["support-0"])["support-0"]
    said = [letters[completion.id] for completion in task.completions]
    words = _words(html)
    assert " > ".join(said) in words and " > ".join(reversed(said)) in words
    assert "Rater 1" in words and "Rater 2" in words
    body = html.partition("<main")[2]
    assert not re.search(r"\bann\b|\bben\b|\bm\b source", Seen(body).text)


def test_a_decision_is_stored_beside_the_judgments(house_of_two: House) -> None:
    store = house_of_two.store
    before = store.judgments(Queue("support"), with_superseded=True)
    judge = house_of_two.person("adjudicator")
    page = f"{PROJECT}/adjudicate"
    judge.page(f"{page}?task=support-0")
    order = blind_order(store.tasks(["support-0"])["support-0"])
    places = {"place.0": "2", "place.1": "1", "place.2": "2"}
    response = judge.send_form(page, task="support-0", do="decide", reason="B is safe.", **places)
    assert response.status_code == 303 and "done=decided" in response.headers["location"]
    (decision,) = store.projects.adjudications("support")
    assert decision.ranking == Ranking(tiers=((order[1],), (order[0], order[2])))
    assert judge.account is not None and decision.adjudicator_id == judge.account.rater_id
    assert store.judgments(Queue("support"), with_superseded=True) == before
    listed = _words(judge.page(f"{PROJECT}/disagreements"))
    assert "B > A = C" in listed and "B is safe." in listed and "Decided: 1" in listed


def test_genuinely_open_is_a_decision_too(house_of_two: House) -> None:
    judge = house_of_two.person("adjudicator")
    judge.page(f"{PROJECT}/adjudicate?task=support-0")
    judge.send_form(f"{PROJECT}/adjudicate", task="support-0", do="open", reason="A matter of taste.")
    (decision,) = house_of_two.store.projects.adjudications("support")
    assert decision.ranking is None
    assert "Genuinely open" in judge.page(f"{PROJECT}/disagreements")


@pytest.mark.parametrize(
    "form",
    [
        {"do": "decide", "reason": "why"},
        {"do": "decide", "reason": "why", "place.0": "1", "place.1": "2"},
        {"do": "decide", "reason": "why", "place.0": "1", "place.1": "2", "place.2": "9"},
        {"do": "decide", "reason": "  ", "place.0": "1", "place.1": "2", "place.2": "3"},
        {"do": "open", "reason": ""},
        {"do": "open", "reason": "x" * 2001},
    ],
)
def test_half_a_decision_is_none(house_of_two: House, form: dict[str, str]) -> None:
    judge = house_of_two.person("adjudicator")
    judge.page(f"{PROJECT}/adjudicate?task=support-0")
    response = judge.send_form(f"{PROJECT}/adjudicate", task="support-0", **form)
    assert response.status_code == 422 and 'role="alert"' in response.text
    assert house_of_two.store.projects.adjudications("support") == []
    if form.get("place.0"):
        assert 'value="1" data-letter="A" checked' in response.text, "what was chosen is still chosen"


def test_tasks_of_other_projects_cannot_be_decided_here(house_of_two: House) -> None:
    house_of_two.add_tasks(1, project="other")
    judge = house_of_two.person("adjudicator")
    judge.page("/admin/projects")
    for task in ("other-0", "nowhere", ""):
        assert judge.client.get(f"{PROJECT}/adjudicate", params={"task": task}, headers=PAGE).status_code == 404
        assert judge.send_form(f"{PROJECT}/adjudicate", task=task, do="open", reason="r").status_code == 404


def test_an_adjudicator_sees_pseudonyms_and_no_way_into_peoples_pages(house_of_two: House) -> None:
    assert "/admin/person" not in _panels(house_of_two.person("adjudicator"))["raters"]
    assert "/admin/person?id=ann" in _panels(house_of_two.person("admin"))["raters"]


def test_a_project_without_judgments_has_a_dashboard(house: House) -> None:
    house.store.projects.save("support", ProjectSettings(), now=house.clock())
    words = _words(house.person("admin").page(PROJECT))
    assert "0 of 0" in words and "Nobody has judged anything yet" in words


def test_battles_make_a_table_of_models_on_the_board_and_over_the_api(house: House) -> None:
    """Nine battles: the new model wins seven, loses one, and once neither answer could be used."""
    for name in ("ann", "ben", "cleo"):
        house.store.register_rater(Rater(id=name, kind="simulated"), now=house.clock())
    for n in range(9):
        prompt = Prompt.of(f"question {n}")
        sides = ("new", "old") if n % 2 else ("old", "new")
        answers = tuple(Completion(prompt_id=prompt.id, text=f"{n} by {s}", id=f"{n}-{s}", source=s) for s in sides)
        kinds = {"kind": "battle", "purpose": "evaluation", "project": "arena"}
        lent = house.store.add_task_for(
            lent_to(n),
            Task.model_validate({"id": f"b-{n}", "prompt": prompt, "completions": answers, **kinds}),
            now=house.clock(),
        )
        better, worse = (f"{n}-old", f"{n}-new") if n == 0 else (f"{n}-new", f"{n}-old")
        ranking = Ranking(tiers=((better, worse),) if n == 1 else ((better,), (worse,)))
        flags = {better: ("unusable",), worse: ("unusable",)} if n == 1 else {}
        said = Judgment.model_validate(
            {"task_id": f"b-{n}", "rater_id": lent_to(n), "id": f"j-{n}", "ranking": ranking, "flags": flags}
        )
        house.store.submit(said, token=lent.token, now=house.clock())
    adjudicator = house.person("adjudicator")
    look = adjudicator.client.get("/admin/projects/arena/dashboard.json", params={"purpose": "evaluation"})
    rows = re.findall(r'<tr><th scope="row"[^>]*>(\w+)</th>(.*?)</tr>', look.json()["panels"]["battles"])
    numbers = [re.findall(r'<td class="number">(\d+)', cells) for _, cells in rows]
    assert [name for name, _ in rows] == ["new", "old"], "the stronger one first"
    assert numbers == [["9", "7", "1", "1"], ["9", "1", "7", "1"]], "battles, won, lost, tied"
    assert all("both unusable: 1" in cells for _, cells in rows)
    assert adjudicator.client.get("/admin/projects/arena/dashboard.json").json()["panels"]["battles"] == ""
    told = house.program("adjudicator").get("/api/v1/projects/arena/statistics", params={"purpose": "evaluation"})
    new, old = told.json()["standings"]
    assert (new["model"], new["wins"], old["model"], old["wins"]) == ("new", 7, "old", 1)
    assert new["share"]["low"] < new["share"]["value"] < new["share"]["high"] < 1


def lent_to(number: int) -> str:
    """Who fights which battle."""
    return ("ann", "ben", "cleo")[number % 3]


def test_scores_by_criterion_are_a_panel(house: House, house_of_two: House) -> None:
    """Ann gives the answers of one task 1 and 3 of 3 on a criterion and leaves the third alone: mean 2, one missing."""
    criterion = {"name": HOSTILE, "anchors": ["no", "so", "yes"]}
    settings = ProjectSettings.model_validate({"criteria": [criterion], "gold_share": 0, "repeat_share": 0})
    house.store.projects.save("support", settings, now=house.clock())
    house.store.add_tasks([a_task(7, project="support", answers=3)], slots=1, now=house.clock())
    [claim] = house.store.claim("ann", Queue("support"), limit=1, now=house.clock())
    first, second, _ = (completion.id for completion in claim.task.completions)
    said = Judgment(
        task_id=claim.task.id, rater_id="ann", id="scored", scores={first: {HOSTILE: 1}, second: {HOSTILE: 3}}
    )
    house.store.submit(said, token=claim.token, now=house.clock())
    visitor = house.person("adjudicator")
    panel = visitor.client.get(f"{PROJECT}/dashboard.json").json()["panels"]["criteria"]
    assert "2.00 (1.00" in _words(panel) and "3.00)" in _words(panel), "one prompt gives the whole scale"
    assert "missing: 13" in _words(panel), "one here, and twelve of the judgments without scores"
    assert "<script" not in panel and "&lt;script" in panel
