"""What was said leaves a store in our own format and comes back whole; other formats count what they cannot hold."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import judgment, people, task

from assent.core.types import Judgment, Note, Ranking
from assent.data.config import Source
from assent.data.exports import EXPORTS, export
from assent.data.load import load_said
from assent.feedback.exporting import gather
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store

WORDS = st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)


@st.composite
def said(draw: st.DrawFn, answers: tuple[str, ...]) -> dict[str, Any]:
    """Everything that one judgment of some answers may say."""
    order = list(draw(st.permutations(answers)))
    tiers, rest = [], order
    while rest:
        size = draw(st.integers(1, len(rest)))
        tiers.append(tuple(sorted(rest[:size])))
        rest = rest[size:]
    strengths = draw(st.none() | st.tuples(*(st.none() | st.integers(1, 4) for _ in tiers[1:])))
    some = st.sampled_from(answers)
    return {
        "ranking": Ranking(tiers=tuple(tiers), strengths=strengths if len(tiers) > 1 else None),
        "flags": draw(st.dictionaries(some, st.just(("unsafe",)), max_size=2)),
        "scores": draw(st.dictionaries(some, st.just({"helpful": 4.0}), max_size=2)),
        "critique": draw(st.none() | WORDS),
        "notes": tuple(Note(completion_id=draw(some), text=draw(WORDS)) for _ in range(draw(st.integers(0, 2)))),
        "edits": draw(st.dictionaries(some, WORDS, max_size=1)),
        "order_shown": tuple(draw(st.permutations(answers))),
        "seconds": draw(st.none() | st.floats(0, 999)),
    }


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[tuple[int, str, float, dict[str, Any]]], list[tuple[int, float, str]]]:
    """Judgments (task, rater, when, what) of up to three tasks, and decisions (task, when, why)."""
    judged = []
    for number in range(draw(st.integers(1, 3))):
        answers = tuple(f"t{number}/{n}" for n in range(3))
        for rater in draw(st.sets(st.sampled_from(["anna", "ben", "cleo"]), min_size=1)):
            judged.append((number, rater, draw(st.floats(10, 1e9)), draw(said(answers))))
    decided = draw(st.lists(st.tuples(st.just(judged[0][0]), st.floats(10, 1e9), WORDS), max_size=2))
    return judged, decided


def fill(store: Store, study: Any) -> None:
    judged, decided = study
    tasks = {number: task(f"t{number}", answers=3) for number, *_ in judged}
    for rater in people("anna", "ben", "cleo", "chief"):
        store.register_rater(rater, now=0.0)
    store.add_tasks(list(tasks.values()), slots=3, now=1.0)
    for number, rater, when, words in judged:
        store.submit(judgment(tasks[number], rater, f"{number}-{rater}", **words), now=when)
    for number, when, why in decided:
        ranking = Ranking(tiers=(tuple(c.id for c in tasks[number].completions),))
        store.projects.adjudicate(tasks[number].id, "chief", ranking, why, now=when)


def content(store: Store, queue: Queue, folder: Path, name: str) -> list[str]:
    """The rows of our own format without the names of tasks, which an import gives by content."""
    path = folder / f"{name}.jsonl"
    export(gather(store, queue), "assent", path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        for one in row["record"]["judgments"]:
            one.pop("task_id", None)
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(studies())
def test_our_own_format_brings_everything_back(study: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Store.open(f"sqlite:///{folder}/one.db") as one, Store.open(f"sqlite:///{folder}/other.db") as other:
            fill(one, study)
            left = content(one, Queue(), folder, "left")
            comparisons, _ = load_said([Source(path=folder / "left.jsonl")])
            counts = other.import_comparisons(comparisons, Queue("back"), now=2e9)
            assert counts.added == len(study[0])
            assert content(other, Queue("back"), folder, "back") == left
            again = other.import_comparisons(comparisons, Queue("back"), now=3e9)
            assert again.added == 0 and content(other, Queue("back"), folder, "again") == left
            decided = Counter((d.reason, d.decided_at, d.adjudicator_id) for d in one.projects.adjudications("default"))
            back = Counter((d.reason, d.decided_at, d.adjudicator_id) for d in other.projects.adjudications("back"))
            assert back == Counter(set(decided)), "equal decisions at one moment are one"


@pytest.mark.parametrize("format", [name for name in EXPORTS if name not in ("assent", "edits")])
def test_other_formats_count_times_and_decisions(tmp_path: Path, format: str) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        first = task("t0", answers=2)
        for rater in people("anna", "ben", "chief"):
            store.register_rater(rater, now=0.0)
        store.add_tasks([first], slots=2, now=1.0)
        store.submit(judgment(first, "anna", "a"), now=2.0)
        store.submit(judgment(first, "ben", "b", ranking=Ranking(tiers=(("t0/1",), ("t0/0",)))), now=3.0)
        store.projects.adjudicate("t0", "chief", Ranking(tiers=(("t0/0",), ("t0/1",))), "because", now=4.0)
        leaving = gather(store, Queue())
    report = export(leaving, format, tmp_path / f"out{EXPORTS[format].ending}")
    assert report.losses["decisions of adjudicators dropped"] == 1
    assert report.losses["times of judgments dropped"] == 2


def test_repeats_are_no_second_vote(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        first = task("t0")
        for rater in people("anna"):
            store.register_rater(rater, now=0.0)
        store.add_tasks([first], now=1.0)
        store.submit(judgment(first, "anna", "a"), now=2.0)
        assert len(gather(store, Queue())) == 1
        said: list[Judgment] = store.judgments(Queue())
        assert [one.id for one in said] == ["a"]
