"""The start page of raters: one card for each thing that is open, and no two that look alike."""

from __future__ import annotations

import re

from rating_visitors import House, a_task, ranking

from assent.core.types import Judgment, Ranking, Rater
from assent.feedback.records.judges import Judges
from assent.feedback.records.queue import NewProject, Queue
from assent.feedback.records.settings import ProjectSettings


def _cards(page: str) -> list[str]:
    found = re.findall(r'<section class="panel stack".*?</section>', page, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", card)).strip() for card in found]


def test_replaced_projects_have_no_card_and_an_evaluation_says_nothing_of_rankings(house: House) -> None:
    for name in ("old", "new"):
        plan = NewProject("first, round 1, evaluation", place="first@x/0000003")
        house.store.projects.carry_on(name, plan, now=house.clock())
        tasks = [a_task(n, project=name).model_copy(update={"purpose": "evaluation"}) for n in range(3)]
        house.store.add_tasks(tasks, now=house.clock())
    rater = house.person()
    (card,) = _cards(rater.page("/"))
    assert card == "first, round 1, evaluation Evaluation: 3 waiting, 0 done, 0 today Rate"
    admin = house.person("admin")
    assert "Closed: its run now asks new instead." in admin.page("/admin/projects")
    assert "Closed: its run now asks new instead." in admin.page("/admin/projects/old/settings")
    admin.send_form("/admin/projects/old/open", is_open="yes")
    assert "its run now asks" not in admin.page("/admin/projects")
    first, second = _cards(rater.page("/"))
    assert (first.split()[4], second.split()[4]) == ("new", "old"), "of one title, so the names stand below"
    assert house.store.projects.get("old").replaced_by is None
    assert house.program("admin").get("/api/v1/projects/old").json()["replaced_by"] is None


def test_a_project_closed_by_hand_says_so(house: House) -> None:
    house.store.projects.save("p", ProjectSettings(title="P", is_open=False), now=house.clock())
    (card,) = _cards(house.person().page("/"))
    assert "This project is closed at the moment." in card
    assert house.store.counts(Queue("p")).need == 0


def test_tasks_that_are_lent_to_a_rater_wait_for_them_too(house: House) -> None:
    house.add_tasks(3)
    rater = house.person()
    assert len(rater.next(limit=2)) == 2
    (card,) = _cards(rater.page("/"))
    assert "Rankings: 3 waiting, 0 done, 0 today" in card
    (other,) = _cards(house.person().page("/"))
    assert "Rankings: 1 waiting, 0 done, 0 today" in other


def test_what_waits_comes_first(house: House) -> None:
    house.store.projects.save("a", ProjectSettings(title="A"), now=house.clock())
    house.store.add_tasks([a_task(1, project="b")], now=house.clock())
    waits, done = _cards(house.person().page("/"))
    assert "1 waiting" in waits and done.startswith("A ")


def test_a_project_that_only_machines_judge_has_no_card_until_there_is_something_for_a_person(house: House) -> None:
    machines, now = Judges("a panel of simulated people", frozenset({"m"})), house.clock()
    queue = house.store.take_queue(Queue("samples"), machines, now=now)
    house.store.register_rater(Rater(id="m", kind="simulated"), now=now)
    task = a_task(1, project=queue.project)
    house.store.add_tasks([task], now=now)
    (held,) = house.store.claim("m", queue, now=now)
    said = Judgment(
        id="j", task_id=task.id, rater_id="m", ranking=Ranking(tiers=((*(c.id for c in task.completions),),))
    )
    house.store.submit(said, token=held.token, now=now)
    house.add_tasks(1)
    admin = house.person("admin")
    assert [card.split()[0] for card in _cards(admin.page("/"))] == ["default"]
    assert "samples" in admin.page("/admin/projects")
    house.store.add_tasks([a_task(2, project=queue.project)], now=now)
    assert [card.split()[0] for card in _cards(admin.page("/"))] == ["default", "samples"]


def test_a_project_is_offered_for_what_its_tasks_are_for(house: House) -> None:
    house.store.projects.save("p", ProjectSettings(title="P", newcomer_tasks=0), now=house.clock())
    first, second = house.person(), house.person()
    assert _cards(second.page("/")) == ["P Rankings: 0 waiting, 0 done, 0 today Rate"]
    task = a_task(1, project="p").model_copy(update={"purpose": "evaluation"})
    house.store.add_tasks([task], now=house.clock())
    (item,) = first.next(project="p", purpose="evaluation")
    assert first.post("/rating/submit", ranking(item)).status_code == 200
    assert _cards(second.page("/")) == ["P Evaluation: 0 waiting, 0 done, 0 today Rate"]
    assert 'href="/rate/p?purpose=evaluation"' in second.page("/guidelines/p")


def test_whoever_gave_judgments_for_training_is_warned_off_evaluations(house: House) -> None:
    house.add_tasks(1)
    tasks = [a_task(n).model_copy(update={"id": f"e-{n}", "purpose": "evaluation"}) for n in range(2)]
    house.store.add_tasks(tasks, now=house.clock())
    trainer, other = house.person(), house.person()
    (item,) = trainer.next()
    assert "You have also given judgments for training" not in trainer.page("/")
    assert trainer.post("/rating/submit", ranking(item)).status_code == 200
    warned = re.compile(r"<p class=\"notice warn[^>]*>You have also given judgments for training")
    hidden = re.compile(r"<p [^>]*hidden>You have also given judgments for training")
    assert warned.search(trainer.page("/")) and not warned.search(other.page("/"))
    for person, purpose, is_warned in (
        (trainer, "evaluation", True),
        (trainer, "reward", False),
        (other, "evaluation", False),
    ):
        page = person.page(f"/rate/default?purpose={purpose}")
        assert bool(hidden.search(page)) is not is_warned and warned.search(page)
