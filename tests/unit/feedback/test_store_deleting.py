"""Deleting a project: everything in it leaves the database, nothing else does, and those who follow others go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from store_samples import comparison, judgment, people, task

from assent.core.errors import ConflictError, StoreError
from assent.core.types import Judgment, Note, Ranking, Rater
from assent.feedback.conversations import BlindTalk
from assent.feedback.records.people import Participant
from assent.feedback.records.queue import Assignment, Queue, Viewing
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.records.webhooks import Hook
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction
from assent.feedback.tables.schema import every_table

WORD = "unmistakable"
"""In every name and text that only the deleted project has."""


@pytest.fixture
def filled(store: Store) -> Iterator[Store]:
    """A store with the project `gone-unmistakable`, which holds one of everything, and `stays`."""
    for name in ("anna", "ben"):
        store.register_rater(people(name)[0], now=0)
    for name in (f"{WORD}-gone", "stays"):
        _fill(store, name)
    yield store


def _fill(store: Store, name: str) -> None:
    store.projects.save(name, ProjectSettings(title=f"{name} title", qualification_tasks=1), now=1)
    store.projects.publish_guideline(name, f"{name} guideline", now=1)
    tasks = [task(f"{name}-{n}", project=name) for n in range(150)]
    store.add_tasks(tasks, slots=2, now=1)
    shared = task("shared", project=name)
    store.add_tasks([shared.model_copy(update={"id": f"{name}-shared"})], now=1)
    for n, served in enumerate(store.serve("anna", Queue(name), limit=3, now=2)):
        note = Note(completion_id=served.task.completions[0].id, text=f"{name} note")
        said = judgment(served.task, "anna", f"{name}-j{n}", critique=f"{name} critique", notes=(note,))
        store.submit(said, token=served.token, now=3, viewing=Viewing("en", events=({"typed": name},)))
    first = store.judgments(Queue(name))[0]
    store.submit(first.model_copy(update={"id": f"{name}-again", "supersedes": first.id}), now=4)
    gold = Ranking(tiers=((f"{name}-1/0",), (f"{name}-1/1",)))
    store.projects.set_gold(f"{name}-1", gold, note=f"{name} gold", now=5)
    store.projects.adjudicate(f"{name}-2", "ben", None, f"{name} reason", now=6)
    store.studies.assign([f"{name}-3"], Assignment(raters=("ben",)))
    store.snapshot(f"{name} snapshot", Queue(name), now=7)
    store.webhooks.add(Hook("https://example.org/h", "judgments", project=name, threshold=1), now=8)
    invitation = store.accounts.invitations.add("rater", project=name, max_uses=9, note=f"{name} note", now=8)
    store.accounts.create(f"member-of-{name}", "rater", projects=(name,), now=8)
    worker = store.accounts.participants.enter(
        invitation.token, Participant("PROLIFIC_PID", f"{name}-pid", {"STUDY": f"{name}-study"}), locale=None, now=8
    )
    assert worker is not None
    talk = BlindTalk(
        id=f"{name}-talk", project=name, rater_id=worker.rater_id, purpose="reward", models=("a", "b"), seed=1
    )
    store.conversations.begin(talk, now=9)
    brought = comparison(f"{name}-brought", raters=(f"{name}-expert",))
    store.import_comparisons([brought], Queue(name), now=10)
    store.register_rater(
        Rater(id=f"{name}-expert", kind="person", attributes={"region": f"{name}-region"}), consent="1", now=11
    )


def _cells(url: str) -> dict[str, list[str]]:
    """Every row of every table as text, by table."""
    engine = connect(url)
    with read_transaction(engine) as connection:
        found = {
            table.name: sorted(json.dumps(list(row), default=str) for row in connection.execute(select(table)))
            for table in every_table()
        }
    engine.dispose()
    return found


def _speaking(cells: dict[str, list[str]], word: str) -> dict[str, int]:
    found = {table: sum(word in row for row in rows) for table, rows in cells.items()}
    return {table: n for table, n in found.items() if n}


def _delete(store: Store, name: str = f"{WORD}-gone") -> Any:
    store.projects.archive(name, is_archived=True, now=20)
    return store.projects.delete(name, now=21)


def test_nothing_of_a_deleted_project_is_left_in_any_table(filled: Store, url: str) -> None:
    before = _cells(url)
    told = {"project", "task", "slot", "judgment", "snapshot", "gold", "adjudication", "webhook", "invitation"}
    told |= {"conversation", "guideline_version", "participant", "assignee", "prompt", "response", "rater_attribute"}
    assert told <= set(_speaking(before, WORD)), "the sample has one of everything"
    held = _delete(filled)
    assert vars(held) == {
        "tasks": 152,
        "judgments": 5,
        "decisions": 1,
        "guidelines": 1,
        "snapshots": 1,
        "conversations": 1,
        "webhooks": 1,
        "invitations": 1,
        "members": 2,
        "accounts": 1,
    }
    after = _cells(url)
    assert _speaking(after, WORD) == {"account": 1}, "the login of a member, who keeps the account"
    assert not any("\\u001f" in row for rows in after.values() for row in rows), "it does not wait under a hidden name"
    kept = {table: [row for row in rows if "stays" in row] for table, rows in before.items()}
    assert {table: [row for row in rows if "stays" in row] for table, rows in after.items()} == kept
    assert [p.name for p in filled.projects.all()] == ["stays"]


def test_a_text_that_two_projects_share_stays(filled: Store) -> None:
    _delete(filled)
    assert filled.tasks(["stays-shared"])["stays-shared"].completions[0].text == "answer 0 to shared"


def test_only_an_archived_project_is_deleted(filled: Store, url: str) -> None:
    before = _cells(url)
    with pytest.raises(ConflictError, match="is not archived; archive it first"):
        filled.projects.delete("stays", now=20)
    with pytest.raises(StoreError, match="project 'nowhere' is not in the store"):
        filled.projects.delete("nowhere", now=20)
    assert _cells(url) == before


def test_the_same_tasks_can_come_again_and_numbers_are_not_given_again(filled: Store) -> None:
    seen = filled.listing.judgments(Queue("stays"), after=None, limit=100)
    last = (seen[-1].number, seen[-1].judgment.id)
    highest = max(one.number for one in filled.listing.judgments(Queue(f"{WORD}-gone"), after=None, limit=100))
    _delete(filled)
    assert filled.listing.judgments(Queue("stays"), after=last, limit=100) == []
    fresh = task(f"{WORD}-gone-1", answers=3, project="stays")
    assert filled.add_tasks([fresh], now=30) == 1
    filled.submit(
        Judgment(
            task_id=fresh.id, rater_id="ben", id="new", ranking=Ranking(tiers=tuple((c.id,) for c in fresh.completions))
        ),
        now=31,
    )
    (new,) = filled.listing.judgments(Queue("stays"), after=last, limit=100)
    assert new.judgment.id == "new" and new.number > highest


def test_a_late_judgment_of_a_deleted_task_is_refused(filled: Store) -> None:
    (served,) = filled.serve("ben", Queue(f"{WORD}-gone"), limit=1, now=19)
    _delete(filled)
    with pytest.raises(StoreError, match="is not in the store"):
        filled.submit(judgment(served.task, "ben", "late"), token=served.token, now=22)


def test_what_a_dying_process_left_of_it_is_taken_out_by_the_next(
    filled: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("assent.feedback.queue.deleting.take_out", die)
    with pytest.raises(KeyboardInterrupt):
        _delete(filled)
    assert [p.name for p in filled.projects.all()] == ["stays"], "it is gone for everybody at once"
    assert "task" in _speaking(_cells(url), WORD)
    filled.observer().look()
    assert _speaking(_cells(url), WORD) == {"account": 1}


def test_no_word_of_it_is_left_in_the_file(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/feedback.db") as store:
        store.register_rater(people("anna")[0], now=0)
        tasks = [task(f"{WORD}-{n}", project="p") for n in range(300)]
        store.add_tasks(tasks, now=0)
        for n, one in enumerate(tasks):
            store.submit(judgment(one, "anna", f"j{n}", critique=f"{WORD} " * (1 + 60 * (n % 7))), now=n)
        store.projects.archive("p", is_archived=True, now=1)
        assert _bytes(tmp_path).count(WORD.encode()) > 1000
        store.projects.delete("p", now=2)
        assert WORD.encode() not in _bytes(tmp_path)
    assert WORD.encode() not in _bytes(tmp_path)


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("feedback.db*")))
