"""The page of the arena: tables by kind of raters, at equal style, with canaries named and names shown as text."""

from __future__ import annotations

import pytest
from html_seen import Seen
from rating_visitors import House

from assent.core.types import Completion, Judgment, Message, Prompt, Ranking, Rater, RaterKind, Task
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.web.admin import arena

PAGE = "/admin/projects/support/arena"
HOSTILE = "<script>alert(1)</script>"


def filled(house: House, *, sources: tuple[str, str] = ("alpha", HOSTILE)) -> House:
    """Six prompts; ann prefers the first model on all of them, a judge the second on all."""
    house.store.projects.save("support", ProjectSettings(title="Support"), now=house.clock())
    tasks = []
    for n in range(6):
        prompt = Prompt(messages=(Message(role="user", content=f"question {n}"),))
        texts = (f"an answer to {n}", "always the same")
        answers = tuple(
            Completion(prompt_id=prompt.id, text=text, source=source)
            for text, source in zip(texts, sources, strict=True)
        )
        tasks.append(Task(id=f"t{n}", prompt=prompt, completions=answers, project="support"))
    house.store.add_tasks(tasks, slots=2, now=house.clock())
    kinds: dict[str, RaterKind] = {"ann": "person", "judge": "autorater"}
    for name, kind in kinds.items():
        house.store.register_rater(Rater(id=name, kind=kind), now=house.clock())
        for claim in house.store.claim(name, Queue("support"), limit=6, now=house.clock()):
            ids = [c.id for c in sorted(claim.task.completions, key=lambda c: c.source != "alpha")]
            ids = ids if name == "ann" else ids[::-1]
            ranking = Ranking(tiers=tuple((i,) for i in ids))
            said = Judgment(task_id=claim.task.id, rater_id=name, id=f"{name}-{claim.task.id}", ranking=ranking)
            house.store.submit(said, token=claim.token, now=house.clock())
    return house


def test_people_and_judges_have_a_table_each_and_the_canary_is_named(house: House) -> None:
    html = filled(house).person("adjudicator").page(PAGE)
    words = " ".join(Seen(html).text.split())
    people, judges = words.split("Language models as judges")
    assert people.index("alpha") < people.index(HOSTILE) and judges.index(HOSTILE) < judges.index("alpha")
    assert "6 comparisons on 6 prompts" in people and "one answer to 100 % of prompts" in words
    assert "script" not in Seen(html).tags or "<script>alert" not in html


def test_style_is_taken_out_where_that_is_asked(house: House) -> None:
    visitor = filled(house).person("adjudicator")
    assert "in logits" not in visitor.page(PAGE)
    assert "in logits" in visitor.page(f"{PAGE}?style=true")


def test_answers_without_a_source_meet_nobody(house: House) -> None:
    html = filled(house, sources=("", "")).person("admin").page(PAGE)
    assert "Nobody has compared answers of two models here yet" in html


def test_of_many_judgments_those_of_the_tasks_judged_last_are_compared(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = filled(house).person("adjudicator")
    all_of_them = "more than 4 judgments"
    assert all_of_them not in visitor.page(PAGE)
    monkeypatch.setattr(arena, "MOST", 4)
    words = " ".join(Seen(visitor.page(PAGE)).text.split())
    assert all_of_them in words and words.count("4 comparisons on 4 prompts") == 2, "each of the four has two rankings"
