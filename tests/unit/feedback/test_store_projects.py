"""Projects: settings that stay, guidelines with versions, known answers, decisions."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from store_samples import judgment, people, task

from assent.core.errors import StoreError
from assent.core.types import Ranking
from assent.feedback.records.queue import Guideline, Queue
from assent.feedback.records.settings import AttributeQuestion, Criterion, ProjectSettings
from assent.feedback.store import Store

SETTINGS = ProjectSettings(
    title="Höflichkeit",
    criteria=(Criterion(name="honest", question="Is it true?", anchors=("no", "partly", "yes")),),
    flags=("unsafe",),
    goal="near_ties",
    attributes=(AttributeQuestion(name="region", question="Where do you live?", choices=("north", "south")),),
    cost_per_hour=21.5,
)


def test_settings_are_kept_and_replaced_as_a_whole(store: Store) -> None:
    saved = store.projects.save("p", SETTINGS, now=3)
    assert (saved.name, saved.settings, saved.guideline, saved.created_at) == ("p", SETTINGS, None, 3)
    assert store.projects.get("p") == saved
    store.projects.save("p", ProjectSettings(title="other"), now=4)
    assert store.projects.get("p").settings == ProjectSettings(title="other")
    assert store.projects.get("p").created_at == 3


def test_a_project_that_tasks_brought_has_the_usual_settings(store: Store) -> None:
    store.add_tasks([task("t", project="b")], now=1)
    store.projects.save("a", SETTINGS, now=2)
    assert [(p.name, p.settings) for p in store.projects.all()] == [("a", SETTINGS), ("b", ProjectSettings())]
    with pytest.raises(StoreError, match="project 'c' is not in the store"):
        store.projects.get("c")
    with pytest.raises(StoreError, match="is empty"):
        store.projects.save("  ", SETTINGS, now=2)


def test_guidelines_have_versions_and_the_same_text_is_no_new_one(store: Store) -> None:
    store.projects.publish_guideline("p", "be kind", now=1)
    assert store.projects.publish_guideline("p", "be kind", now=2) == Guideline(1, "be kind", 1)
    assert store.projects.publish_guideline("p", "be brief", now=3) == Guideline(2, "be brief", 3)
    assert store.projects.publish_guideline("q", "be kind", now=4).version == 1
    assert store.projects.guidelines("p") == [Guideline(1, "be kind", 1), Guideline(2, "be brief", 3)]
    assert store.projects.get("p").guideline == Guideline(2, "be brief", 3)


def test_a_known_answer_must_fit_its_task(store: Store) -> None:
    store.add_tasks([task("t", answers=3), task("o", project="other")], now=0)
    with pytest.raises(StoreError, match=r"gold of task 't' leaves out answers \['t/2'\]"):
        store.projects.set_gold("t", Ranking(tiers=(("t/0",), ("t/1",))), now=1)
    with pytest.raises(StoreError, match="'nowhere' is not in the store"):
        store.projects.set_gold("nowhere", Ranking(tiers=(("t/0",),)), now=1)
    first = Ranking(tiers=(("t/0", "t/1"), ("t/2",)))
    store.projects.set_gold("t", first, note="clear", now=1)
    assert store.projects.gold("default") == {"t": (first, "clear")}
    second = Ranking(tiers=(("t/2",), ("t/0", "t/1")))
    store.projects.set_gold("t", second, now=2)
    assert store.projects.gold("default") == {"t": (second, "")}
    assert store.projects.gold("other") == {}


def test_decisions_stay_on_record(store: Store) -> None:
    store.register_rater(people("anna")[0], now=0)
    store.add_tasks([task("t")], now=0)
    store.submit(judgment(task("t"), "anna", "j"), now=1)
    ranking = Ranking(tiers=(("t/1",), ("t/0",)))
    store.projects.adjudicate("t", "anna", None, "cannot be told", now=2)
    store.projects.adjudicate("t", "anna", ranking, "it can", now=3)
    found = store.projects.adjudications("default")
    assert [(d.ranking, d.reason, d.decided_at) for d in found] == [(None, "cannot be told", 2), (ranking, "it can", 3)]
    assert [j.id for j in store.judgments(Queue())] == ["j"], "what raters said stays what they said"
    with pytest.raises(StoreError, match="rater 'nobody' is not known"):
        store.projects.adjudicate("t", "nobody", ranking, "", now=4)


@pytest.mark.parametrize(
    "fields",
    [
        {"criteria": ({"name": "a", "anchors": ("only one",)},)},
        {"criteria": ({"name": "a", "anchors": ("0", "1")}, {"name": "a", "anchors": ("0", "1")})},
        {"gold_share": 0.5, "repeat_share": 0.4},
        {"random_share": 1.5},
        {"lease_seconds": 0},
        {"flags": ("silly",)},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProjectSettings.model_validate(fields)
