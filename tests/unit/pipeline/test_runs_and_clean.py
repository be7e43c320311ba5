"""Runs of a project: listed, held against each other, and cleaned without a judgment or what stays being lost."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import assent
from assent.artifacts.find import find_artifact
from assent.artifacts.locks import lock_run, use
from assent.cli import app
from assent.core.errors import AwaitingJudgments, UserError
from assent.core.types import Judgment, Ranking, Rater
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.commands.clean import clear, clearance
from assent.pipeline.commands.compare import Row, compare, lines
from assent.pipeline.commands.runs import list_runs, tell, tell_all
from assent.report.compare import comparison_page

STORE = "sqlite:///feedback.db"
QUESTIONS = [f"What should {who} know about {what}?" for what in ("bread", "wine", "eggs") for who in ("I", "a cook")]
PAIRS = [{"prompt": question, "chosen": "Much.", "rejected": "Nothing."} for question in QUESTIONS]
SMALL: dict[str, Any] = {
    "evaluate": None,
    "eval_share": 0.0,
    "compute": {"threads": 1, "device": "cpu"},
    "log": {"tensorboard": False},
    "quiet": True,
}


def dpo(name: str, **settings: Any) -> assent.FinishedRun:
    method = {"kind": "dpo", "batch_size": 4, "optimizer": {"learning_rate": 0.01}, **settings}
    return assent.train("base", comparisons=PAIRS, optimize=method, to=f"runs/{name}", **SMALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two runs that differ in one setting, and one that waits for people."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        save_tiny(folder / "base", "llama")
        dpo("first")
        dpo("second", beta=0.3)
        asked = {"prompts": 2, "answers": 2, "sampling": {"max_new_tokens": 3}}
        people = {"collect": {"raters": {"kind": "people"}}, "sample": asked, "reward": None, "optimize": None}
        with pytest.raises(AwaitingJudgments):
            assent.train("base", prompts=PAIRS, to="runs/asked", **SMALL, **people)
    yield folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def names(kind: str) -> set[str]:
    return {path.name for path in Path("runs/artifacts").glob(f"{kind}-*")}


def judge(run: str) -> str:
    """A person ranks one task of a run; the name of its project."""
    [samples] = [one["artifact"] for one in _steps(run) if one["stage"] == "sample"]
    with Store.open(STORE) as store:
        store.register_rater(Rater(id="ann", kind="person"), now=0)
        [task, *_] = store.tasks(store.task_ids(Queue(samples))).values()
        tiers = tuple((answer.id,) for answer in task.completions)
        store.submit(Judgment(id="j", task_id=task.id, rater_id="ann", ranking=Ranking(tiers=tiers)), now=1)
    return str(samples)


def _steps(run: str) -> list[dict[str, Any]]:
    from assent.artifacts.project import read_steps

    return read_steps(Path("runs") / run)


def test_every_run_is_listed_with_its_state_and_the_disk_of_its_own(project: Path) -> None:
    told = {one.name: one for one in tell_all()}
    assert {name: (one.state, one.method, one.rounds) for name, one in told.items()} == {
        "asked": ("waits for people (round 1 collect)", "none", "1 of 1"),
        "first": ("done", "dpo", "1 of 1"),
        "second": ("done", "dpo", "1 of 1"),
    }
    # The policy is each run's own; data, base and judgments are of both.
    assert [path.name.partition("-")[0] for path in told["second"].own] == ["policy"]
    weights = (find_artifact("runs/second").folder / "policy" / "model.safetensors").stat().st_size
    assert told["second"].num_bytes > weights
    with lock_run(Path("runs/first")):
        assert next(one for one in tell_all() if one.name == "first").state == "running"
    shutil.rmtree(find_artifact("runs/second").folder)
    assert "second  " in "\n".join(list_runs()) and "done; 1 of 5 artifacts are gone" in "\n".join(list_runs())
    with pytest.raises(UserError, match="nope is no run below runs; there is: asked, first, second"):
        tell(["nope"])


def test_two_runs_differ_by_what_was_set_and_share_the_rest(project: Path) -> None:
    found = compare(*tell(["first", "runs/second"]))
    assert found.settings == (Row("optimize.beta", "0.1", "0.3"),)
    assert [one.kind for one in found.shared] == ["data", "data", "policy", "judgments"]
    text = "\n".join(lines(found))
    assert "both rest on 4 artifacts: data prompts, data comparisons, base, collect; first has 1 others" in text
    hostile = dataclasses.replace(found, settings=(Row("data", "<script>alert(1)</script>", "\u202eabc"),))
    page = comparison_page(hostile)
    assert "<script" not in page and "&lt;script&gt;" in page and "\u202e" not in page
    assert page.count("Loss over steps") == 1 and "<svg" in page
    unfinished = "\n".join(lines(compare(*tell(["first", "asked"]))))
    assert "waits for people (round 1 collect)" in unfinished and "data.prompts" in unfinished


def test_only_what_no_run_refers_to_goes(project: Path) -> None:
    assert clearance().places == []
    policies, own = names("policy"), find_artifact("runs/first").name
    Path("runs", "work", "policy-aaaaaaaaaaaa").mkdir(parents=True)
    Path("runs/second/logs/policy-aaaaaaaaaaaa").mkdir()
    Path("runs/first/notes.txt").write_text("mine", encoding="utf-8")
    Path("other.yaml").write_text("optimize: {rewards: [{kind: model, path: runs/first/round-1}]}", encoding="utf-8")
    found = clearance(["first"])
    said = "\n".join(found.lines())
    assert "stays: runs/first/notes.txt: no file of a run" in said and "note: other.yaml names runs/first" in said
    assert [one.name for one in found.artifacts] == [own] and [one.name for one in found.works] == [
        "policy-" + "a" * 12
    ]
    [told] = clear(found, ["first"])
    assert told.startswith("deleted 1 run, 1 artifact, 1 unfinished work")
    assert names("policy") == policies - {own}
    assert [path.name for path in Path("runs/first").iterdir()] == ["notes.txt"]
    made = find_artifact("runs/second").manifest.created
    before = {path: path.stat().st_mtime_ns for path in Path("runs/artifacts").iterdir()}
    dpo("second", beta=0.3)  # nothing that it rests on went
    assert find_artifact("runs/second").manifest.created == made
    assert {path: path.stat().st_mtime_ns for path in Path("runs/artifacts").iterdir()} == before
    assert clearance().places == []


def test_what_people_judged_stays_and_stores_are_not_touched(project: Path) -> None:
    samples = judge("asked")
    found = clearance(["asked", "first", "second"])
    assert found.kept == {Path("runs/artifacts") / samples: "1 judgments of people are of it"}
    with Store.open(STORE) as store:
        before = store.judgments(Queue(samples))
    list(clear(found, ["asked", "first", "second"]))
    assert [path.name for path in Path("runs/artifacts").iterdir()] == [samples]
    assert not list(Path("runs/given").iterdir())
    with Store.open(STORE) as store:
        assert store.judgments(Queue(samples)) == before
    # Without the people's word nothing speaks for it any more.
    shutil.move("feedback.db", "elsewhere.db")
    assert [one.name for one in clearance().artifacts] == [samples]


def test_an_artifact_that_a_file_of_the_project_names_stays_with_what_it_was_made_from(project: Path) -> None:
    policy = find_artifact("runs/first")
    Path("profiles").mkdir()
    Path("profiles/ja.yaml").write_text(f"policy: {policy.folder}\n", encoding="utf-8")
    found = clearance(["asked", "first", "second"])
    assert {path.name for path in found.kept} == {a.name for a in tell(["first"])[0].artifacts}


def test_a_project_without_a_run_is_said_to_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    app(["clean"], standalone_mode=False)
    assert capsys.readouterr().out == "nothing to clean: there is no run in this project yet\n"


def test_nothing_goes_unasked_or_while_a_run_is_at_work(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = sorted(Path("runs").rglob("*"))
    with pytest.raises(UserError, match="nobody can be asked here .1 run, 1 artifact.*say --yes"):
        app(["clean", "--run", "first"], standalone_mode=False)
    with use(Path("runs"), alone=lambda: None), pytest.raises(UserError, match="a run is at work in runs"):
        app(["clean", "--run", "first", "--yes"], standalone_mode=False)
    with pytest.raises(UserError, match="--run gone is no run below runs; there is: asked, first, second"):
        app(["clean", "--run", "gone"], standalone_mode=False)
    assert sorted(Path("runs").rglob("*")) == there
    app(["clean", "--run", "first", "--yes"], standalone_mode=False)
    assert not Path("runs/first").exists()
    capsys.readouterr()
    app(["clean"], standalone_mode=False)
    assert "nothing to clean: runs use everything" in capsys.readouterr().out
    app(["runs", "second", "asked", "--to", "both.html"], standalone_mode=False)
    assert "second and asked" in Path("both.html").read_text(encoding="utf-8")
    for wrong in (["runs", "a", "b", "c"], ["runs", "second", "--to", "x.html"]):
        with pytest.raises((UserError, typer.Exit)):
            app(wrong, standalone_mode=False)
