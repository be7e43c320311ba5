"""A run that changes: what it made before keeps a name, whatever becomes of the new; one that goes on makes none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from assent.artifacts.find import find_artifact, passed_over
from assent.artifacts.project import RunFolder, all_runs, unused
from assent.artifacts.round import Made, write_round
from assent.artifacts.stage import Runner
from assent.artifacts.versions import lost, rounds_in, set_aside
from assent.cli import app
from assent.core.errors import UserError
from assent.models.tiny import save_tiny
from assent.pipeline.doctor.logs import examine_logs
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project
from assent.report.run import report_of

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees")
ROWS = [
    {"prompt": f"What should {who} know about {what}?", "chosen": "Much.", "rejected": "Nothing."}
    for what in SUBJECTS
    for who in ("I", "children")
]
TOY = Path("runs/toy")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DPO on pairs of a tiny base, without reward model and evaluation."""
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}], "eval_share": 0.0},
        "optimize": {"kind": "dpo", "batch_size": 8, "optimizer": {"learning_rate": 0.01}},
        "reward": None,
        "evaluate": None,
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def run(*settings: str) -> str:
    """Run it, and the key of its newest policy."""
    list(run_project(Path("assent.yaml"), (), settings, quiet=True))
    return find_artifact(str(TOY)).key


def planned(*settings: str) -> list[str]:
    return plan_project(Path("assent.yaml"), (), settings)


def runs() -> list[str]:
    return [one.path.name for one in all_runs()]


def stopped_before(stage: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every run stop when it comes to a stage, as Ctrl-C would; the function returned undoes it."""
    make = Runner._make

    def stop(runner: Runner, made: Any, *rest: Any, **named: Any) -> Any:
        if made.name == stage:
            raise KeyboardInterrupt
        return make(runner, made, *rest, **named)

    monkeypatch.setattr(Runner, "_make", stop)
    return lambda: monkeypatch.setattr(Runner, "_make", make)


def test_a_changed_run_keeps_what_it_made_under_a_name_also_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    report_of(TOY)
    assert run() == first and runs() == ["toy"], "the same settings make no version"
    second_round = run("rounds=2")
    assert find_artifact("runs/toy/round-1").key == first != second_round and runs() == ["toy"], "nor do more rounds"

    kept = "results go to runs/toy; what it names now and this would replace is kept as runs/toy@1"
    assert planned("rounds=2", "optimize.beta=0.3")[-1].endswith(kept) and runs() == ["toy"]
    assert not any("is kept as" in line for line in planned("rounds=2"))
    go_on = stopped_before("optimize", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run("rounds=2", "optimize.beta=0.3")
    assert runs() == ["toy@1", "toy"]
    assert find_artifact("runs/toy@1").key == second_round
    assert find_artifact("runs/toy@1/round-1").key == first
    with pytest.raises(UserError, match=r"the round has made no policy; .*what it was before is runs/toy@1/round-1$"):
        find_artifact("runs/toy/round-1")
    with pytest.raises(UserError, match=r"runs/toy@1/round-2$"):
        find_artifact("runs/toy/round-2")
    assert passed_over("runs/toy") == "runs/toy has changed and is not finished; what it made before is runs/toy@1"
    assert unused().artifacts == () and unused().works == ()
    go_on()
    changed = run("rounds=2", "optimize.beta=0.3")
    assert changed not in (first, second_round) and runs() == ["toy@1", "toy"] and passed_over("runs/toy") is None

    said = CliRunner().invoke(app, ["lineage", "runs/toy@1/round-1"])
    assert said.output.startswith(f"policy-{first[:12]}")
    said = CliRunner().invoke(app, ["export", "runs/toy@1/round-1", "--to", "out"])
    assert said.exit_code == 0, said.output
    assert report_of(Path("runs/toy@1")) == "report: runs/toy@1/report.html"
    assert "toy@1" in Path("runs/toy@1/report.html").read_text(encoding="utf-8")
    assert examine_logs(Path("runs/toy@1")) and len(RunFolder(Path("runs/toy@1")).rounds) == 3

    assert run("rounds=2") == second_round and runs() == ["toy@1", "toy@2", "toy"]
    assert run("rounds=2", "optimize.beta=0.3") == changed and runs() == ["toy@1", "toy@2", "toy"], "both are kept"
    assert run("optimize.beta=0.3") != changed and not (TOY / "round-2").exists(), "fewer rounds take a name away"


def test_a_run_of_another_name_by_a_flag_leaves_the_first_alone() -> None:
    first = run()
    said = CliRunner().invoke(app, ["run", "--name", "trial", "--set", "optimize.beta=0.3", "--quiet"])
    assert said.exit_code == 0, said.output
    assert runs() == ["toy", "trial"]
    assert find_artifact("runs/toy").key == first != find_artifact("runs/trial").key
    assert len(list(Path("runs/artifacts").glob("policy-*"))) == 3, "one base, two policies"
    said = CliRunner().invoke(app, ["run", "--name", "work"])
    assert "'work' is a folder that all runs share; choose another name" in str(said.exception)


def made(name: str, kind: str, stage: str, *, is_there: bool = True) -> Made:
    artifact = f"{kind}-{name * 12}"
    if is_there:
        Path("runs/artifacts", artifact).mkdir(parents=True, exist_ok=True)
    return Made(stage, kind, artifact, name * 64)


def test_names_are_lost_of_policies_and_evaluations_that_are_still_there() -> None:
    samples, policy, evaluation = (
        made("a", "samples", "sample"),
        made("b", "policy", "optimize"),
        made("c", "evaluation", "evaluate"),
    )
    write_round(TOY, 0, [made("d", "policy", "base")])
    write_round(TOY, 1, [samples])
    assert lost(TOY, {1: [made("e", "samples", "sample")]}) == {}, "a run that waits for people has no policy to lose"
    write_round(TOY, 1, [samples, policy, evaluation])
    write_round(TOY, 2, [made("f", "policy", "optimize", is_there=False)])
    assert lost(TOY, {1: [policy, made("1", "evaluation", "evaluate")]}) == {1: [evaluation]}
    assert lost(TOY, {1: [evaluation, policy], 2: [made("2", "policy", "optimize")]}) == {}
    assert set_aside(TOY, {1: [evaluation, policy]}) is None and rounds_in(TOY)[1] == [samples, policy, evaluation]


def test_killed_between_keeping_and_clearing_it_keeps_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    write_round(TOY, 1, [made("a", "policy", "optimize")])
    write_round(TOY, 2, [made("b", "policy", "optimize")])
    (TOY / "result.json").write_text("{}")

    remove = shutil.rmtree

    def kill(folder: Path, **how: Any) -> None:
        if folder.parent == TOY:
            raise KeyboardInterrupt
        remove(folder, **how)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(shutil, "rmtree", kill)
        set_aside(TOY, {})
    shutil.rmtree(TOY / "round-1")
    assert set_aside(TOY, {}) == Path("runs/toy@1")
    assert sorted(rounds_in(Path("runs/toy@1"))) == [1, 2] and rounds_in(TOY) == {}
    assert not (TOY / "result.json").exists() and not Path("runs/toy@2").exists()
