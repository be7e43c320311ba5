"""What an export brings into other stores, by hand: conflicts, corrections, guidelines, many tasks, training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from full_store import tables
from store_samples import judgment, people, task

from assent.core.errors import DataError, StoreError
from assent.core.types import Judgment, Ranking, Rater, Task
from assent.data.config import Source
from assent.data.exports import export
from assent.data.formats import Said
from assent.data.load import load_comparisons, load_prompts, load_said
from assent.feedback.exporting import gather, those_who_said
from assent.feedback.queue.gold import REPEAT_OF, again_id, twin
from assent.feedback.queue.imports import refuse_unusable
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, write_transaction

BACKWARDS = Ranking(tiers=(("t/1",), ("t/0",)))


def filled(url: str) -> None:
    """t: ranked by anna, skipped by ben, and asked anna again; one: scored by anna; u: only skipped; v: not judged."""
    with Store.open(url) as store:
        for rater in people("anna", "ben", "chief"):
            store.register_rater(rater, now=0)
        tasks = [task("t"), task("one", answers=1, kind="rate"), task("u"), task("v")]
        store.add_tasks(tasks, slots=2, now=1)
        store.projects.publish_guideline("default", "Be kind.", now=2)
        store.submit(judgment(tasks[0], "anna", "a"), now=3)
        store.submit(Judgment(task_id="t", rater_id="ben", id="b", skip_reason="unclear"), now=4)
        scores = {"one/0": {"kind": 2.0}}
        store.submit(Judgment(task_id="one", rater_id="anna", id="c", scores=scores), now=5)
        store.submit(Judgment(task_id="u", rater_id="ben", id="d", skip_reason="broken"), now=6)
        store.projects.adjudicate("u", "chief", None, "no answer", now=7)
    engine = connect(url)
    with write_transaction(engine) as connection:
        again = twin(connection, "t", now=8)
    engine.dispose()
    with Store.open(url) as store:
        store.submit(judgment(again, "anna", "e", ranking=BACKWARDS), now=9)


def written(url: str, path: Path) -> Path:
    """The queue `default` in our own format."""
    with Store.open(url) as store:
        export(gather(store, Queue()), "assent", path, raters=those_who_said(store, attributes=False))
    return path


def read(path: Path) -> list[Said]:
    return load_said([Source(path=path)], check=refuse_unusable)[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a store with everything."""
    filled(f"sqlite:///{tmp_path}/one.db")
    return written(f"sqlite:///{tmp_path}/one.db", tmp_path / "left.jsonl")


def test_reading_it_to_learn_from_counts_what_is_no_comparison(file: Path) -> None:
    comparisons, report = load_comparisons([Source(path=file)])
    assert [[j.id for j in c.judgments] for c in comparisons] == [["a"]], "what was asked again is no second vote"
    assert report.census.dropped == {
        "skips left out": 2,
        "judgments of single answers left out": 1,
        "judgments of tasks that were asked again left out": 1,
        "tasks that nobody judged left out": 1,
    }
    assert "aside" not in comparisons[0].meta
    assert len({prompt.text for prompt in load_prompts([Source(path=file)])[0]}) == 4


def test_repeats_and_their_first_task_come_back_as_such(file: Path, store: Store) -> None:
    counts = store.import_comparisons(read(file), Queue("back"), now=99)
    assert (counts.added, counts.tasks, counts.decisions, counts.guidelines) == (5, 1, 1, 1)
    assert store.listing.repeats(Queue("back")) == {again_id("t"): "t"}
    assert store.task_ids(Queue("back")) == sorted(["t", "one", "u", "v", again_id("t")])
    assert store.counts(Queue("back")) == Counts(2, 2), (
        "nothing waits for a rater, and what measures one is not counted"
    )
    assert [r.outcome for r in store.said("back")] == ["ranked", "skipped", "marked", "skipped", "ranked"]
    assert [g.text for g in store.projects.guidelines("back")] == ["Be kind."]
    assert store.studies.states(["u"])["u"].aside == "decision"


def test_more_than_a_block_comes_back_the_same(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    filled(url)
    with Store.open(url) as store:
        many = [task(f"m{n}") for n in range(300)]
        store.add_tasks(many, now=10)
        for n, one in enumerate(many[:200]):
            store.submit(judgment(one, "anna", f"m{n}"), now=11 + n)
        store.submit(judgment(many[0], "anna", "m0+", supersedes="m0"), now=999)
        store.projects.set_gold("m1", Ranking(tiers=(("m1/0",), ("m1/1",))), note="sure", now=1000)
    said = read(written(url, tmp_path / "left.jsonl"))
    with Store.open(f"sqlite:///{tmp_path}/other.db") as other:
        counts = other.import_comparisons(said, Queue(), now=2e9)
        assert (counts.added, counts.tasks, counts.known_answers, counts.guidelines) == (206, 101, 1, 1)
        again = other.import_comparisons(said, Queue(), now=3e9)
        assert (again.added, again.known, again.tasks, again.guidelines) == (0, 206, 0, 0)
    assert tables(tmp_path / "one.db") == tables(tmp_path / "other.db")


def test_a_correction_comes_into_a_store_that_has_what_it_corrects(tmp_path: Path) -> None:
    url, other_url = f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/other.db"
    filled(url)
    with Store.open(other_url) as other:
        other.import_comparisons(read(written(url, tmp_path / "first.jsonl")), Queue(), now=50)
    with Store.open(url) as store:
        store.submit(judgment(task("t"), "anna", "a+", ranking=BACKWARDS, supersedes="a"), now=60)
    with Store.open(other_url) as other:
        counts = other.import_comparisons(read(written(url, tmp_path / "second.jsonl")), Queue(), now=70)
        assert (counts.added, counts.known) == (1, 5)
    assert tables(tmp_path / "one.db") == tables(tmp_path / "other.db")


def _without_facts(row: dict[str, Any]) -> dict[str, Any]:
    row["record"]["meta"]["aside"] = {"times": row["record"]["meta"]["aside"]["times"]}
    return row


def test_old_files_that_name_no_tasks_go_on_being_read(file: Path, store: Store) -> None:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    (old,) = [_without_facts(row) for row in rows if row["kind"] == "comparison"]
    assert old["assent"] == 1
    path = file.with_name("old.jsonl")
    path.write_text(json.dumps(old) + "\n", "utf-8")
    assert store.import_comparisons(read(path), Queue(), now=9).added == 1
    (task_id,) = store.task_ids(Queue())
    assert task_id.startswith("t-"), "named by its content"
    assert [row.submitted_at for row in store.said("default")] == [3]


def test_an_id_that_stands_for_something_else_is_refused(file: Path, store: Store) -> None:
    other = task("t", answers=3)
    store.add_tasks([other.model_copy(update={"project": "back"})], now=0)
    store.projects.publish_guideline("back", "Be kind.", now=0)
    with pytest.raises(StoreError, match="task 't' is in the store with other content"):
        store.import_comparisons(read(file), Queue("back"), now=1)
    with pytest.raises(StoreError, match="task 't' is in project 'back' already"):
        store.import_comparisons(read(file), Queue("elsewhere"), now=1)
    with pytest.raises(StoreError, match="serves reward, not evaluation"):
        store.import_comparisons(read(file), Queue("third", "evaluation"), now=1)
    assert [project.name for project in store.projects.all()] == ["back"] and store.raters() == []


def test_another_known_answer_is_refused_and_the_same_is_known(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    filled(url)
    with Store.open(url) as store:
        store.projects.set_gold("t", BACKWARDS, now=5)
    said = read(written(url, tmp_path / "left.jsonl"))
    with Store.open(url) as store:
        assert store.import_comparisons(said, Queue(), now=6).known_answers == 0
        store.projects.set_gold("t", Ranking(tiers=(("t/0",), ("t/1",))), now=7)
        with pytest.raises(StoreError, match="'t' has another known answer here"):
            store.import_comparisons(said, Queue(), now=8)


def test_a_guideline_whose_number_is_taken_gets_another_unless_raters_are_at_work(file: Path, store: Store) -> None:
    store.projects.publish_guideline("back", "Be harsh.", now=0)
    counts = store.import_comparisons(read(file), Queue("back"), now=1)
    assert (counts.guidelines, counts.renumbered) == (1, 1)
    assert "1 versions of the guideline have another number here: theirs was taken" in counts.lines()
    assert [(g.version, g.text) for g in store.projects.guidelines("back")] == [(1, "Be harsh."), (2, "Be kind.")]
    assert store.import_comparisons(read(file), Queue("back"), now=2).guidelines == 0


def test_raters_at_work_are_told_nothing_new_by_an_import(file: Path, store: Store) -> None:
    store.add_tasks([task("mine", project="back")], now=0)
    with pytest.raises(StoreError, match="raters are at work there; import into another project"):
        store.import_comparisons(read(file), Queue("back"), now=1)
    assert store.projects.guidelines("back") == []


def test_a_rater_of_another_kind_stays_what_they_are_here_and_is_counted(tmp_path: Path, store: Store) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    with Store.open(url) as one:
        one.register_rater(Rater(id="robot", kind="simulated"), now=0)
        one.add_tasks([task("t")], now=0)
        one.submit(judgment(task("t"), "robot", "a"), now=1)
    said = read(written(url, tmp_path / "left.jsonl"))
    store.register_rater(Rater(id="robot", kind="person"), now=0)
    counts = store.import_comparisons(said, Queue(), now=2)
    assert counts.otherwise == 1 and store.raters()[0].kind == "person"
    with Store.open(f"sqlite:///{tmp_path}/other.db") as other:
        other.import_comparisons(said, Queue(), now=2)
        assert other.raters()[0].kind == "simulated"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": {"id": "x"}}, r"line|record|prompt"),
        ({"decisions": [{"adjudicator": "chief", "at": 1, "ranking": {"tiers": [["nobody"]]}}]}, "unknown answers"),
        ({"judgments": [{"task_id": "u", "rater_id": "ben", "edits": {"?": "x"}}]}, "unknown answers"),
        ({"facts": {"created_at": "yesterday"}}, "facts.created_at"),
        ({"facts": {"created_at": float("nan")}}, "facts.created_at"),
        ({"facts": {"created_at": 1, "priority": float("inf")}}, "not JSON"),
        ({"times": {"d": 1e300}}, "times.d"),
        ({"meta": {"x": "a\x00b"}}, "NUL"),
        ({"judgments": [{"task_id": "u", "rater_id": "ben", "order_shown": ["?"]}]}, "unknown"),
    ],
)
def test_a_spoilt_row_is_refused_with_its_line(file: Path, change: dict[str, Any], message: str) -> None:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    number = next(n for n, row in enumerate(rows) if row["kind"] == "task")
    rows[number]["record"] |= change
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(DataError, match=message) as refused:
        read(file)
    assert refused.value.line == number + 1


def test_a_spoilt_aside_is_refused_with_its_line(file: Path) -> None:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    number = next(n for n, row in enumerate(rows) if row["kind"] == "comparison")
    rows[number]["record"]["meta"]["aside"]["times"] = "soon"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for load in (load_said, load_comparisons):
        with pytest.raises(DataError, match=r"meta\.aside: times") as refused:
            load([Source(path=file)])
        assert refused.value.line == number + 1


def test_the_mark_of_a_repeat_is_no_part_of_its_meta(file: Path) -> None:
    rows = [json.loads(line)["record"] for line in file.read_text("utf-8").splitlines()]
    (again,) = [row for row in rows if row.get("facts", {}).get("repeat_of")]
    assert again["facts"]["repeat_of"] == "t" and REPEAT_OF not in again.get("meta", {})
    assert Task.model_validate(again["task"]).id == again_id("t")
