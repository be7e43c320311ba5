"""Stale work is not offered: where a run asks anew, what it asked there before is closed, and nothing said is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assent.core.types import Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.records.places import FINAL
from assent.feedback.records.queue import NewProject, Queue
from assent.feedback.store import Store
from assent.pipeline.commands.feedback import StoreQueue, list_projects
from assent.pipeline.queueing import place_of
from assent.service.serve import where_to_rate


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/s.db") as opened:
        opened.register_rater(Rater(id="ann", kind="person"), now=0)
        yield opened


def _task(name: str, project: str) -> Task:
    prompt = Prompt.of(f"question {name}")
    said = tuple(Completion(prompt_id=prompt.id, text=text) for text in ("yes", "no"))
    return Task(id=name, prompt=prompt, completions=said, project=project)


def _ask(store: Store, project: str, step: int, *, run: str = "first") -> None:
    title = f"{run}, step {step}"
    store.projects.carry_on(project, NewProject(title, place=place_of(run, step)), now=1)
    store.add_tasks([_task(f"{project}-{n}", project) for n in range(2)], now=1)


def _open(store: Store) -> list[str]:
    return [p.name for p in store.projects.all() if p.settings.is_open]


def test_steps_of_a_run_are_ordered_and_runs_of_other_folders_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = [place_of("first", step) for step in (2, 3, 4, 5, 20, 21, FINAL)]
    assert here == sorted(here) and len({place.rpartition("/")[0] for place in here}) == 1
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert place_of("first", 2) not in here


def test_a_new_set_of_tasks_closes_what_its_place_and_later_ones_asked_before(store: Store) -> None:
    _ask(store, "a2", 2)
    _ask(store, "a3", 3)
    _ask(store, "a4", 4)
    _ask(store, "other", 2, run="second")
    store.projects.save("own", store.projects.get("a2").settings, now=1)
    _ask(store, "b3", 3)
    assert _open(store) == ["a2", "b3", "other", "own"], "what came before stays: it counts"
    assert store.projects.get("a4").replaced_by == "b3"
    _ask(store, "b2", 2)
    assert _open(store) == ["b2", "other", "own"]


def test_a_run_that_comes_back_opens_its_project_again_and_one_that_waits_changes_nothing(store: Store) -> None:
    _ask(store, "a", 2)
    _ask(store, "b", 2)
    _ask(store, "a", 2)
    assert _open(store) == ["a"] and store.projects.get("a").replaced_by is None
    closed = store.projects.get("b")
    store.projects.save("b", closed.settings.model_copy(update={"is_open": True}), now=2)
    assert store.projects.get("b").replaced_by is None
    _ask(store, "a", 2)
    assert _open(store) == ["a", "b"], "an admin opened it, and that stays so"


def test_one_that_an_admin_closed_by_hand_is_not_opened_by_a_run(store: Store) -> None:
    _ask(store, "a", 2)
    settings = store.projects.get("a").settings
    store.projects.save("a", settings.model_copy(update={"is_open": False}), now=2)
    _ask(store, "a", 2)
    _ask(store, "b", 2)
    assert _open(store) == ["b"] and store.projects.get("a").replaced_by is None


def test_a_task_that_was_given_is_still_taken_and_no_other_is_given(store: Store) -> None:
    _ask(store, "a", 2)
    (held,) = store.serve("ann", Queue("a"), limit=1, now=2)
    _ask(store, "b", 2)
    assert [one.task.id for one in store.serve("ann", Queue("a"), limit=5, now=3)] == [held.task.id]
    ranking = Ranking(tiers=tuple((c.id,) for c in held.task.completions))
    said = Judgment(id="j", task_id=held.task.id, rater_id="ann", ranking=ranking)
    assert store.submit(said, token=held.token, now=4).status == "stored"
    assert store.serve("ann", Queue("a"), limit=5, now=5) == []
    assert [one.id for one in store.judgments(Queue("a"))] == ["j"]


def test_the_server_lists_what_counts_by_its_title(store: Store) -> None:
    _ask(store, "a", 2)
    _ask(store, "b", 2)
    _ask(store, "put away", 5, run="second")
    store.projects.archive("put away", is_archived=True, now=2)
    assert list(where_to_rate(store, "http://h")) == [
        "rating at http://h/",
        "  http://h/rate/b  first, step 2: 0 of 2 judgments are in",
    ]


def test_a_project_that_two_runs_share_is_named_in_both_and_closed_when_neither_asks_it(
    store: Store, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"

    def named(place: str) -> Queue:
        return StoreQueue(url, place).queue(store)

    _ask(store, "shared", 2)
    _ask(store, "shared", 2, run="second")
    assert _open(store) == ["shared"]
    assert next(iter(list_projects(url))).startswith("first/round-1/rankings  0 of 2 ")
    for name in ("first/round-1/rankings", "second", "shared"):
        assert named(name) == Queue("shared")
    _ask(store, "of first", 2)
    assert _open(store) == ["of first", "shared"], "the second run asks it still"
    assert named("first") == Queue("of first") and named("second") == Queue("shared")
    _ask(store, "of second", 2, run="second")
    assert _open(store) == ["of first", "of second"]
    assert store.projects.get("shared").replaced_by == "of second"
    _ask(store, "shared", 2)
    assert _open(store) == ["of second", "shared"] and named("second") == Queue("of second")
