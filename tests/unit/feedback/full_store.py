"""A store filled with whatever it can hold, and its tables as they are, read without the package."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st
from store_samples import task

from assent.core.types import Judgment, Message, Note, Prompt, Ranking, Rater, Task, ToolCall
from assent.feedback.records.queue import Queue, Served, Viewing
from assent.feedback.records.settings import Criterion, ProjectSettings
from assent.feedback.store import Store

WORDS = st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)
STUDY = "study"
PEOPLE = ("anna", "ben", "cleo")
TASKS = (("t0", 3, "rank"), ("t1", 2, "pair"), ("t2", 1, "rate"), ("t3", 2, "rank"), ("t4", 1, "rate"))
SKIPS = ("broken", "unclear", "=HYPERLINK(1)")
SETTINGS = ProjectSettings(
    criteria=(Criterion(name="helpful", anchors=("no", "so", "yes")),),
    gold_share=0.3,
    repeat_share=0.4,
    repeat_after=1,
    set_aside_after=2,
    newcomer_tasks=0,
)


class Doing(NamedTuple):
    """What somebody does: the next task that is served, or a task by its number without being asked."""

    rater: str
    at: int | None
    says: Any


@st.composite
def words(draw: st.DrawFn) -> dict[str, Any]:
    """What a judgment says, by the places of the answers (a task has at most three)."""
    place = st.integers(0, 2)
    kind = draw(st.sampled_from(["ranked", "ranked", "marked", "skipped"]))
    if kind == "skipped":
        return {"kind": kind, "skip_reason": draw(st.none() | st.sampled_from(SKIPS))}
    return {
        "kind": kind,
        "order": draw(st.permutations(range(3))),
        "ties": draw(st.lists(st.booleans(), min_size=2, max_size=2)),
        "strengths": draw(st.none() | st.lists(st.none() | st.integers(1, 4), min_size=2, max_size=2)),
        "flags": draw(st.dictionaries(place, st.just(("unsafe",)), max_size=2)),
        "scores": draw(st.dictionaries(place, st.just({"helpful": 2.0}), max_size=2)),
        "critique": draw(st.none() | WORDS),
        "notes": draw(st.lists(st.tuples(place, WORDS), max_size=2)),
        "edits": draw(st.dictionaries(place, WORDS, max_size=1)),
        "seconds": draw(st.none() | st.floats(0, 999)),
        "details": draw(st.just({}) | st.just({"margins": [["a", "b", -0.5]], "note": "é"})),
    }


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """Everything that happens in a study, in turn."""
    doing = st.builds(Doing, st.sampled_from((*PEOPLE, "robot")), st.none() | st.integers(0, len(TASKS) - 1), words())
    ranks = st.none() | st.permutations(range(3))
    return {
        "purpose": draw(st.sampled_from(["reward", "reward", "evaluation"])),
        "guidelines": draw(st.lists(WORDS, max_size=3)),
        "gold": draw(st.lists(st.tuples(st.sampled_from([0, 1, 3]), WORDS), max_size=2, unique_by=lambda one: one[0])),
        "doings": draw(st.lists(doing, max_size=12)),
        "corrections": draw(st.lists(st.tuples(st.integers(0, 11), words()), max_size=3)),
        "talks": draw(st.lists(st.tuples(st.sampled_from(["chat", "battle"]), words()), max_size=2)),
        "decisions": draw(st.lists(st.tuples(st.sampled_from([0, 1, 3]), ranks, WORDS), max_size=2)),
        "steady": draw(st.lists(words(), max_size=6)),
        "aside": draw(st.none() | st.integers(0, len(TASKS) - 1)),
        "seed": draw(st.integers(0, 1000)),
    }


def with_tools(prompt: Prompt) -> Prompt:
    """The prompt after a call of a tool and its result."""
    call = ToolCall(name="look", arguments={"at": {"what": "é", "n": [1, None]}}, id="c1")
    turns = (
        *prompt.messages,
        Message(role="assistant", content="", tool_calls=(call,), reasoning="Hm."),
        Message(role="tool", content="3 C", tool_call_id="c1"),
    )
    return Prompt(messages=turns, tools=({"name": "look", "parameters": {}},), id=prompt.id, meta=prompt.meta)


class Filler:
    """Does what happens in a study; the clock goes on by a second each time."""

    def __init__(self, store: Store, study: dict[str, Any], *, has_tools: bool = False) -> None:
        self.store, self.study, self.now = store, study, 1000.0
        self.queue = Queue(STUDY, study["purpose"])
        self.tasks = [task(n, answers=k, kind=kind, project=STUDY, purpose=study["purpose"]) for n, k, kind in TASKS]
        if has_tools:
            self.tasks[1] = self.tasks[1].model_copy(update={"prompt": with_tools(self.tasks[1].prompt)})
        self.held: list[tuple[Task, Judgment]] = []

    def tick(self) -> float:
        """The next second."""
        self.now += 1.0
        return self.now

    def fill(self) -> None:
        """Do everything."""
        store, study = self.store, self.study
        store.projects.save(STUDY, SETTINGS, now=self.tick())
        for name in (*PEOPLE, "chief"):
            store.register_rater(Rater(id=name, kind="person"), now=self.tick())
        store.register_rater(Rater(id="robot", kind="simulated"), now=self.tick())
        store.add_tasks(self.tasks[:3], slots=2, now=self.tick(), priority=0.5)
        store.add_tasks(self.tasks[3:], slots=1, now=self.tick(), is_cap=True)
        for number, note in study["gold"]:
            store.projects.set_gold(self.tasks[number].id, self.ranking(number, None), note=note, now=self.tick())
        told = list(study["guidelines"])
        for number, one in enumerate(study["doings"]):
            if told and number % 3 == 0:
                store.projects.publish_guideline(STUDY, told.pop(0), now=self.tick())
            self.do(number, one)
        for number, says in study["corrections"]:
            self.correct(number, says)
        for number, says in enumerate(study["steady"]):  # anna goes on, and is given known answers and repeats
            self.do(100 + number, Doing("anna", None, says))
        for number, (kind, says) in enumerate(study["talks"]):
            made = task(f"talk{number}", kind=kind, project=STUDY, purpose=study["purpose"])
            served = store.add_task_for("anna", made, now=self.tick())
            self.submit(served.task, "anna", f"talk-{number}", says, served)
        for number, order, reason in study["decisions"]:
            ranking = None if order is None else self.ranking(number, order)
            store.projects.adjudicate(self.tasks[number].id, "chief", ranking, reason, now=self.tick())
        if study["aside"] is not None:
            store.studies.set_aside([self.tasks[study["aside"]].id], now=self.tick())

    def ranking(self, number: int, order: Any) -> Ranking:
        """A decision about a task."""
        ids = [completion.id for completion in self.tasks[number].completions]
        return Ranking(tiers=tuple((ids[i],) for i in (order or range(3)) if i < len(ids)))

    def do(self, number: int, one: Doing) -> None:
        """Judge a task that is served, or any."""
        if one.at is not None:
            judged = {(held.id, said.rater_id) for held, said in self.held}
            if (self.tasks[one.at].id, one.rater) not in judged:
                self.submit(self.tasks[one.at], one.rater, f"j{number}", one.says, None)
            return
        for served in self.store.serve(one.rater, self.queue, limit=1, now=self.tick()):
            self.submit(served.task, one.rater, f"j{number}", one.says, served)

    def submit(self, about: Task, rater: str, name: str, says: dict[str, Any], served: Served | None) -> None:
        """Submit what somebody says."""
        judgment = self.judgment(about, rater, name, says)
        viewing = None
        if served is not None and says["kind"] != "skipped":
            shown = {"locale": "de", "is_translated": True, "client": "a browser", "activity": {"A": 1.5}}
            viewing = Viewing(**shown, events=({"do": "look", "t": 1},))
        token = None if served is None else served.token
        self.store.submit(judgment, token=token, now=self.tick(), viewing=viewing)
        self.held.append((about, judgment))

    def correct(self, number: int, says: dict[str, Any]) -> None:
        """Correct a judgment, or take it back."""
        if number >= len(self.held):
            return
        about, old = self.held[number]
        new = self.judgment(about, old.rater_id, f"{old.id}+", says).model_copy(update={"supersedes": old.id})
        self.store.submit(new, now=self.tick())
        self.held[number] = (about, new)

    def judgment(self, about: Task, rater: str, name: str, says: dict[str, Any]) -> Judgment:
        """What somebody says, with the ids of the task's answers."""
        ids = [completion.id for completion in about.completions]
        if says["kind"] == "skipped":
            return Judgment(task_id=about.id, rater_id=rater, id=name, skip_reason=says["skip_reason"])
        tiers: list[list[str]] = []
        order = [ids[i] for i in says["order"] if i < len(ids)]
        for answer, is_tied in zip(order, [False, *says["ties"]], strict=False):
            if is_tied and tiers:
                tiers[-1].append(answer)
            else:
                tiers.append([answer])
        strengths = None if says["strengths"] is None or len(tiers) < 2 else tuple(says["strengths"][: len(tiers) - 1])
        is_ranked = says["kind"] == "ranked" and len(ids) > 1
        return Judgment(
            task_id=about.id,
            rater_id=rater,
            id=name,
            ranking=Ranking(tiers=tuple(map(tuple, tiers)), strengths=strengths) if is_ranked else None,
            flags={ids[i]: flags for i, flags in says["flags"].items() if i < len(ids)},
            scores={ids[i]: scores for i, scores in says["scores"].items() if i < len(ids)},
            critique=says["critique"],
            notes=tuple(Note(completion_id=ids[i], text=text) for i, text in says["notes"] if i < len(ids)),
            edits={ids[i]: text for i, text in says["edits"].items() if i < len(ids)},
            seconds=says["seconds"],
            details=says["details"],
        )


LEFT_OUT = {
    "task": {"guideline_id"},  # told by number and text below
    "judgment": {"slot_id", "presentation_id", "number"},  # numbers of rows; what stands in those rows is compared
    "presentation": {"id", "guideline_id", "client"},  # the browser's name does not leave
    "judgment_event": {"id"},
    "adjudication": {"id"},
    "guideline_version": {"id"},
    "rater": {"created_at", "erased_at"},
}
"""Columns that do not come back, or stand for rows that are compared themselves."""
_TABLES = {
    "guideline_version": "SELECT * FROM guideline_version",
    "prompt": "SELECT * FROM prompt",
    "response": "SELECT * FROM response",
    "task_response": "SELECT * FROM task_response",
    "task": "SELECT task.*, g.version, g.text FROM task LEFT JOIN guideline_version g ON g.id = task.guideline_id",
    "judgment": "SELECT * FROM judgment",
    "presentation": "SELECT p.*, j.id AS judgment, g.version AS told FROM judgment j JOIN presentation p"
    " ON p.id = j.presentation_id LEFT JOIN guideline_version g ON g.id = p.guideline_id",
    "slot": "SELECT j.id, s.service, s.project, s.purpose, s.is_filled FROM judgment j LEFT JOIN slot s"
    " ON s.id = j.slot_id WHERE j.superseded_by IS NULL",
    "judgment_event": "SELECT * FROM judgment_event",
    "gold": "SELECT * FROM gold",
    "adjudication": "SELECT * FROM adjudication",
    "rater": "SELECT * FROM rater WHERE id IN (SELECT rater_id FROM judgment"
    " UNION SELECT adjudicator_id FROM adjudication)",
}


def tables(path: Path) -> dict[str, list[str]]:
    """The rows of every table in which something stands that was said, as sorted JSON."""
    found: dict[str, list[str]] = {}
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for name, query in _TABLES.items():
            rows = [dict(row) for row in connection.execute(query)]
            left_out = LEFT_OUT.get(name, set())
            found[name] = sorted(
                json.dumps({k: v for k, v in row.items() if k not in left_out}, sort_keys=True) for row in rows
            )
    return found
