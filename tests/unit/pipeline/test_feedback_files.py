"""`assent feedback`: files out and in on the command line, with their losses, and refusals in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assent.cli import app
from assent.core.errors import AssentError, StoreError, UserError
from assent.core.types import Comparison, Completion, Judgment, Prompt, Purpose, Ranking, Rater, Task
from assent.data.config import Source
from assent.data.exports import EXPORTS
from assent.data.load import load_comparisons
from assent.feedback.records.queue import NewProject, Queue
from assent.feedback.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Six people who ranked three answers in project p, one of them also rated a single answer, one skipped."""
    monkeypatch.chdir(tmp_path)
    opened = Store.open("sqlite:///feedback.db")
    prompt = Prompt.of("Why?")
    answers = tuple(Completion(prompt_id=prompt.id, text=f"answer {i}", id=i) for i in "abc")
    tasks = [Task(id=f"t{n}", prompt=prompt, completions=answers, project="p") for n in range(2)]
    single = Task(id="single", prompt=prompt, completions=answers[:1], kind="rate", project="p")
    opened.add_tasks([*tasks, single], slots=6, now=0)
    for n in range(6):
        region = "north" if n < 5 else "south"
        opened.register_rater(Rater(id=f"r{n}", kind="person", attributes={"region": region}), consent="v1", now=0)
        ranking = Ranking(tiers=(("a",), ("b", "c")))
        opened.submit(Judgment(id=f"j{n}", task_id="t0", rater_id=f"r{n}", ranking=ranking, critique="so"), now=1)
    opened.submit(Judgment(id="one", task_id="single", rater_id="r0", scores={"a": {"kind": 3}}), now=1)
    opened.submit(Judgment(id="skip", task_id="t1", rater_id="r0", skip_reason="unclear"), now=1)
    opened.submit(Judgment(id="mark", task_id="t1", rater_id="r1", flags={"a": ("unsafe",)}), now=1)
    return opened


def run(*command: str) -> list[str]:
    result = CliRunner().invoke(app, ["feedback", *command])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_projects_of_a_run_are_named_by_it_listed_and_exported_together(store: Store) -> None:
    for n, step in enumerate((2, 3, 4), start=1):
        name, place = f"samples-{n}", f"first@abc/{step:07d}"
        store.projects.carry_on(name, NewProject(f"Step {step}", place=place), now=0)
        purpose: Purpose = "evaluation" if step == 3 else "reward"
        prompt = Prompt.of(f"q{n}")
        answers = tuple(Completion(prompt_id=prompt.id, text=f"{name} {i}", id=f"{n}{i}") for i in "ab")
        store.add_tasks([Task(id=name, prompt=prompt, completions=answers, project=name, purpose=purpose)], now=0)
        said = Ranking(tiers=((f"{n}a",), (f"{n}b",)))
        store.submit(Judgment(id=f"s{n}", task_id=name, rater_id="r0", ranking=said), now=1)
    assert run("projects", "--store", "feedback.db") == [
        "p                         8 of 18 rankings",
        "first/round-1/rankings    1 of 1 rankings (samples-1)",
        "first/round-1/evaluation  1 of 1 comparisons (samples-2)",
        "first/round-2/rankings    1 of 1 rankings (samples-3)",
    ]
    to = ("--to", "out.jsonl", "--store", "feedback.db")
    assert run("export", "--project", "first", *to)[0] == "wrote 2 tasks as assent of 2 projects to out.jsonl"
    assert run("export", "--project", "first/round-1/evaluation", *to)[0].startswith("wrote 1 task")
    assert run("snapshot", "one", "--project", "first/round-2", "--store", "feedback.db")[0].startswith(
        "snapshot one: 1"
    )
    with pytest.raises(
        AssentError, match="there is no project 'first/round-3' in the store; there are p, first/round-1/"
    ):
        run("export", "--project", "first/round-3", *to)
    with pytest.raises(AssentError, match="name one project with --project; there are first/round-1/rankings, first/"):
        run("snapshot", "both", "--project", "first", "--store", "feedback.db")


def test_export_says_what_was_lost(store: Store) -> None:
    lines = run("export", "--format", "trl", "--to", "pairs.jsonl", "--store", "feedback.db", "--project", "p")
    assert lines == [
        "wrote 12 pairs as trl to pairs.jsonl",
        "1 judgment of single answers dropped: there is nothing to compare",
        "2 kinds, dates and states of tasks dropped",
        "7 times of judgments dropped",
        "1 skip dropped",
        "6 critiques dropped",
        "1 flag dropped",
        "6 raters dropped",
        "6 ties dropped",
        "1 judgment without a ranking dropped",
        "6 rankings became 18 pairs, ties included",
    ]
    assert len(Path("pairs.jsonl").read_text().splitlines()) == 12


def test_erasing_asks_and_says_what_would_go(store: Store) -> None:
    given = ["feedback", "erase", "r1", "--store", "feedback.db"]
    refused = CliRunner().invoke(app, given, input="n\n")
    assert isinstance(refused.exception, UserError) and "nothing was erased" in str(refused.exception)
    # r1 ranked t0 and marked t1.
    assert "rater r1: account, attributes and 2 judgments would be erased, and 0 artifacts" in refused.output
    assert "r1" in {rater.id for rater in store.raters()}
    assert CliRunner().invoke(app, given, input="y\n").exit_code == 0
    assert "r1" not in {rater.id for rater in store.raters()}


def test_a_store_that_cannot_be_written_can_still_be_exported(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.close()
    before = Path("feedback.db").read_bytes()
    monkeypatch.setattr("assent.feedback.tables.connection.os.access", lambda _path, mode: mode != os.W_OK)
    run("export", "--to", "all.jsonl", "--store", "feedback.db")
    with pytest.raises(StoreError, match="readonly"):
        run("erase", "r1", "--yes", "--store", "feedback.db")
    assert Path("feedback.db").read_bytes() == before and not Path("feedback.db-wal").exists()


def test_the_only_project_need_not_be_named(store: Store) -> None:
    assert run("export", "--to", "all.jsonl", "--store", "feedback.db")[0] == "wrote 3 tasks as assent to all.jsonl"
    store.add_tasks([Task(id="x", prompt=Prompt.of("x"), completions=_one())], now=0)
    with pytest.raises(AssentError, match=r"name the project with --project; there are default, p for reward"):
        run("export", "--to", "all.jsonl", "--store", "feedback.db")
    with pytest.raises(AssentError, match=r"there is no project 'q' in the store; there are default, p"):
        run("export", "--to", "all.jsonl", "--store", "feedback.db", "--project", "q")


def _one() -> tuple[Completion, ...]:
    return (Completion(prompt_id=Prompt.of("x").id, text="x"),)


def test_our_own_export_carries_everything_and_attributes_only_where_five_share_them(store: Store) -> None:
    lines = run("export", "--to", "all.jsonl", "--store", "feedback.db", "--attributes")
    assert "1 attribute of raters left out: fewer than five people share them" in lines
    text = Path("all.jsonl").read_text()
    assert text.count('"kind": "rater"') == 5 and "south" not in text
    comparisons, _ = load_comparisons([Source(path=Path("all.jsonl"))])
    assert sorted(j.id for c in comparisons for j in c.judgments) == ["j0", "j1", "j2", "j3", "j4", "j5", "mark"]


@pytest.mark.parametrize("format", sorted(set(EXPORTS) - {"edits", "csv"}))
def test_every_format_comes_back_through_the_command(store: Store, format: str) -> None:
    file = f"out{EXPORTS[format].ending}"
    run("export", "--format", format, "--to", file, "--store", "feedback.db")
    lines = run("import", file, "--store", "other.db")
    assert any("judgments added to imported" in line for line in lines)
    with Store.open("sqlite:///other.db") as other:
        back = other.comparisons(Queue("imported"))
    assert {_order(one, judgment) for one in back for judgment in one.judgments} <= {
        ("answer a", "answer b = answer c"),
        ("answer a", "answer c = answer b"),
        ("answer a", "answer b"),
        ("answer a", "answer c"),
    }
    assert any(one.judgments for one in back)
    assert any("0 judgments added" in line for line in run("import", file, "--store", "other.db"))


def _order(comparison: Comparison, judgment: Judgment) -> tuple[str, ...]:
    texts = {c.id: c.text for c in comparison.completions}
    assert judgment.ranking is not None
    return tuple(judgment.ranking.sentence(texts).split(" > "))


def test_snapshots_are_exported_by_name_and_stay_what_they_were(store: Store) -> None:
    (line,) = run("snapshot", "monday", "--store", "feedback.db")
    assert line.startswith("snapshot monday: 8 judgments, ")
    store.submit(
        Judgment(id="late", task_id="t1", rater_id="r5", ranking=Ranking(tiers=(("a",), ("b",), ("c",)))), now=2
    )
    run("export", "--snapshot", "monday", "--to", "then.jsonl", "--store", "feedback.db")
    run("export", "--to", "now.jsonl", "--store", "feedback.db")
    assert "late" not in Path("then.jsonl").read_text() and "late" in Path("now.jsonl").read_text()
    with pytest.raises(AssentError, match=r"there is no snapshot 'friday'; there are monday"):
        run("export", "--snapshot", "friday", "--to", "x.jsonl", "--store", "feedback.db")


def test_a_broken_file_brings_in_nothing_of_any_file(store: Store, tmp_path: Path) -> None:
    good = '{"prompt": "Say hello.", "answers": ["Hello!", "Go away."], "ranks": [1, 2]}\n'
    Path("good.jsonl").write_text(good)
    Path("bad.jsonl").write_text(good.replace("hello", "bye") + '{"prompt": "x"}\n')
    with pytest.raises(AssentError, match=r"bad.jsonl:2: column 'answers' is missing"):
        run("import", "good.jsonl", "bad.jsonl", "--store", "feedback.db", "--project", "q")
    assert store.comparisons(Queue("q")) == []
    lines = run("import", "good.jsonl", "bad.jsonl", "--store", "feedback.db", "--project", "q", "--skip-bad")
    assert "2 judgments added to q, 0 known already, 1 new raters" in lines
    assert Path("quarantine.jsonl").exists()


def test_what_is_not_there_is_said_and_nothing_is_made(store: Store) -> None:
    with pytest.raises(AssentError, match="there is no store"):
        run("export", "--to", "x.jsonl", "--store", "typo.db", "--project", "p")
    with pytest.raises(AssentError, match="there is no rater 'nobody'"):
        run("erase", "nobody", "--store", "feedback.db")
    with pytest.raises(AssentError, match=r"did you mean 'argilla'\?"):
        run("export", "--format", "argila", "--to", "x.json", "--store", "feedback.db")
    assert not Path("typo.db").exists() and not Path("x.jsonl").exists() and not Path("x.json").exists()


def test_people_are_erased_by_the_login_they_know_them_by(store: Store) -> None:
    account = store.accounts.create("Anna", "rater", now=0)
    lines = run("erase", "anna", "--yes", "--store", "feedback.db")
    assert lines[1].startswith("erased: 0 judgments") and store.listing.rater(account.rater_id) is None
    with pytest.raises(AssentError, match="there is no rater 'anna'"):
        run("erase", "anna", "--store", "feedback.db")
