"""The gate of a run: only what passes is promoted, names follow, and a gate that cannot pass is refused early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.find import find_artifact, passed_over
from assent.artifacts.round import named, read_round
from assent.cli import app
from assent.core.errors import ConfigError, DataError, UserError
from assent.evaluation.gate.dossier import replay
from assent.evaluation.outcomes import Found, Outcome
from assent.evaluation.reward_report import calibration_error
from assent.models.tiny import save_tiny
from assent.pipeline.commands.evaluate import folder_of, weights_of
from assent.pipeline.doctor.examine import examine
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project
from assent.report.run import report_of

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "dogs", "shirts")
QUESTIONS = [f"What should {who} know about {what}?" for what in SUBJECTS for who in ("I", "children", "a cook")]
SURE = {"measure": "answers.empty", "at_most": 1.1}
NEVER = {"measure": "answers.empty", "at_least": 1.1}


def write(**settings: Any) -> None:
    values = {
        "name": "toy",
        "rounds": 2,
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}]},
        "reward": None,
        "optimize": {"kind": "dpo", "batch_size": 8, "optimizer": {"learning_rate": 0.01}},
        "evaluate": {"prompts": 2, "sampling": {"max_new_tokens": 4}},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump({**values, **settings}), encoding="utf-8")


def gate(*lines: dict[str, Any]) -> dict[str, Any]:
    return {"keep": list(lines), "least_clusters": 2}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    rows = ({"prompt": q, "chosen": "Much.", "rejected": "Nothing."} for q in QUESTIONS)
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run() -> list[str]:
    return list(run_project(Path("assent.yaml"), quiet=True))


def policy_of(number: int) -> str:
    made = named(read_round(Path(f"runs/toy/round-{number}")), "policy")
    assert made is not None
    return made.artifact


def start_of(number: int) -> str:
    start = find_artifact(f"runs/toy/round-{number}").manifest.parents["start"]
    return next(one.name for one in Path("runs/artifacts").iterdir() if one.name.endswith(start[:12]))


def command(*arguments: str) -> int:
    return int(app(["gate", *arguments], prog_name="assent", standalone_mode=False))


def test_what_passes_is_promoted_and_the_next_round_starts_from_it() -> None:
    write(gate=gate(SURE))
    assert sum("gate: PASS, promoted" in line for line in run()) == 2
    assert start_of(2) == policy_of(1)
    assert find_artifact("runs/toy").name == policy_of(2) and passed_over("runs/toy") is None
    result = json.loads(Path("runs/toy/result.json").read_text())
    assert [one["gate"]["promoted"] for one in result["rounds"]] == [True, True] and result["final"] is not None


def test_what_fails_is_not_promoted_and_names_say_so() -> None:
    Path("strict.yaml").write_text(yaml.safe_dump(gate(NEVER)))
    write(gate="strict.yaml")
    lines = run()
    assert sum("gate: FAIL, not promoted" in line for line in lines) == 2
    assert any("FAIL      keep answers.empty: surely above 1.1" in line for line in lines)
    assert start_of(2) == start_of(1) == policy_of(0)
    assert find_artifact("runs/toy").name == policy_of(0)
    assert passed_over("runs/toy") == "runs/toy: round-2, round-1 did not pass its gate; this is round-0"
    assert find_artifact("runs/toy/round-2").name == policy_of(2) and passed_over("runs/toy/round-2") is None
    assert json.loads(Path("runs/toy/result.json").read_text())["final"] is None
    page = Path(report_of(Path("runs/toy")).removeprefix("report: ")).read_text()
    assert "not promoted" in page and "answers.empty" in page
    dossier = find_artifact("runs/toy/round-2/gate").folder / "dossier"
    assert replay(dossier).verdict == "fail"
    evidence = json.loads((dossier / "evidence.json").read_text())
    policy = evidence["facts"]["artifacts"][policy_of(2)]
    told = {one["stage"].rpartition(" v")[0] for one in evidence["facts"]["artifacts"].values()}
    assert told == {"data prompts", "data comparisons", "base", "collect", "optimize", "evaluate"}  # as plans call them
    assert policy["files"] and policy["seed"] and "toy" not in policy["inputs"]


def test_a_round_whose_gate_was_not_asked_yet_is_not_promoted() -> None:
    write(gate=gate(SURE))
    run()
    path = Path("runs/toy/round-2/round.json")
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "made": [one for one in values["made"] if one["stage"] != "gate"]}))
    assert find_artifact("runs/toy").name == policy_of(1)


def test_a_run_without_a_gate_promotes_every_round() -> None:
    write()
    assert not any("gate" in line for line in run())
    assert find_artifact("runs/toy").name == policy_of(2) and start_of(2) == policy_of(1)
    assert all(one["gate"] is None for one in json.loads(Path("runs/toy/result.json").read_text())["rounds"])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{"measure": "xstest.over_refusal", "margin": 0.1}], "this run does not measure xstest"),
        ([{"measure": "winrate.win_rate", "margin": 0.1}], "this run does not measure winrate"),
        ([{"measure": "answers.lenght", "ratio": [0.5, 2]}], "did you mean 'length'"),
    ],
)
def test_a_gate_that_could_never_pass_is_refused_before_anything_runs(lines: list[Any], words: str) -> None:
    write(gate=gate(*lines))
    with pytest.raises(ConfigError, match=words):
        run()
    with pytest.raises(ConfigError, match=words):
        plan_project(Path("assent.yaml"))
    assert any(finding.key == "gate" and finding.is_error for finding in examine(Path("assent.yaml")))
    assert not list(Path("runs").glob("artifacts/*"))


def test_a_reward_model_that_trained_the_policy_may_not_be_the_gates_judge() -> None:
    write(gate=gate({"measure": "winrate.win_rate", "margin": 0.1}), reward={}, optimize={"kind": "rloo"})
    with pytest.raises(ConfigError, match="is what its policies are optimized for"):
        plan_project(Path("assent.yaml"))


def test_the_command_decides_from_what_a_run_found_and_its_dossier_replays(capsys: pytest.CaptureFixture[str]) -> None:
    write(rounds=1)
    run()
    Path("gate.yaml").write_text(yaml.safe_dump(gate(SURE)))
    assert command("runs/toy/round-1", "--file", "gate.yaml", "--to", "d") == 0
    assert command("runs/toy", "--against", "runs/toy/round-0", "--file", "gate.yaml", "--to", "e") == 0
    Path("gate.yaml").write_text(yaml.safe_dump(gate(NEVER)))
    assert command("runs/toy/round-1", "--file", "gate.yaml", "--to", "f") == 1
    capsys.readouterr()
    assert command("--replay", "f") == 1
    assert "f gives the same verdict again" in capsys.readouterr().out
    Path("gate.yaml").write_text(yaml.safe_dump(gate({"measure": "hhh.accuracy", "every": 1})))
    assert command("runs/toy/round-1", "--file", "gate.yaml", "--to", "g") == 1
    assert "it was not measured" in capsys.readouterr().out
    with pytest.raises(UserError, match="wants a policy, or --replay"):
        command()


def test_what_assent_evaluate_found_counts_and_other_weights_under_the_name_do_not() -> None:
    save_tiny(Path("other"), "llama", seed=5)
    for name, value in (("base", 0.0), ("other", 1.0)):
        outcomes = tuple(Outcome(item=str(n), cluster=str(n), values={"accuracy": value}) for n in range(40))
        found = Found(
            suite="hhh", subject=name, source="s", outcomes=outcomes, kind="hhh", weights=weights_of(f"./{name}")
        )
        found.write(folder_of(Path("evaluations"), f"./{name}") / "hhh")
    Path("gate.yaml").write_text(yaml.safe_dump({"gain": [{"measure": "hhh.accuracy", "least": 0.5}]}))
    assert command("./other", "--against", "./base", "--file", "gate.yaml") == 0
    assert command("./base", "--against", "./other", "--file", "gate.yaml") == 1
    assert command("evaluations/other", "--against", "evaluations/base", "--file", "gate.yaml") == 0
    with pytest.raises(UserError, match="say it with --against"):
        command("./other", "--file", "gate.yaml")
    save_tiny(Path("other"), "llama", seed=6)
    with pytest.raises(DataError, match="was measured of other weights"):
        command("./other", "--against", "./base", "--file", "gate.yaml")
    assert len(list(Path("gate").iterdir())) == 3


def test_few_prompts_leave_it_open_and_the_exit_code_says_so() -> None:
    write(rounds=1)
    run()
    Path("gate.yaml").write_text(yaml.safe_dump({"keep": [SURE]}))
    assert command("runs/toy/round-1", "--file", "gate.yaml") == 3


def test_a_reward_model_is_held_to_its_own_limits_on_held_out_pairs() -> None:
    lines = [{"measure": "reward.ece", "at_most": 1.1}, {"measure": "reward.accuracy", "at_least": -0.1}]
    write(rounds=1, reward={"epochs": 1, "eval_share": 0.3}, gate=gate(*lines))
    assert any("gate: PASS" in line for line in run())
    found = Found.read(find_artifact("runs/toy/round-1/reward").folder)
    report = json.loads((find_artifact("runs/toy/round-1/reward").folder / "report.json").read_text())
    assert calibration_error(found.outcomes) == pytest.approx(report["ece"])
    accuracy = sum(one.values["accuracy"] for one in found.outcomes) / len(found.outcomes)
    assert accuracy == pytest.approx(report["accuracy"]["estimate"]) and len(found.outcomes) == report["pairs"]


def test_a_run_that_is_asked_again_with_more_prompts_takes_a_further_look() -> None:
    write(rounds=1, gate=gate(SURE))
    run()
    write(rounds=1, gate=gate(SURE), evaluate={"prompts": 3, "sampling": {"max_new_tokens": 4}})
    run()
    again = find_artifact("runs/toy/round-1/gate")
    assert again.notes["look"] == 2 and replay(again.folder / "dossier").look == 2
    write(rounds=1, gate=gate({**SURE, "at_most": 1.2}), evaluate={"prompts": 3, "sampling": {"max_new_tokens": 4}})
    run()
    assert find_artifact("runs/toy/round-1/gate").notes["look"] == 2
