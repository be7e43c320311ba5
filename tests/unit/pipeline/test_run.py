"""What a run says and writes besides its artifacts: the verdict, its rounds by name, its settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.round import named, read_round
from assent.artifacts.stage import Step
from assent.artifacts.store import Artifact, Manifest
from assent.core.errors import AwaitingJudgments
from assent.pipeline.config import RunConfig
from assent.pipeline.plan import plan_project, with_skip_bad
from assent.pipeline.record import write_rounds
from assent.pipeline.run import run_project, verdict

LAB = {"base": {"kind": "scratch"}, "data": {"kind": "lab"}, "collect": {"raters": {"kind": "simulated"}}}


def step(kind: str, scope: tuple[str | int, ...], key: str) -> Step:
    manifest = Manifest(kind=kind, key=key * 64, stage=kind, version=1, config={})
    return Step(kind, scope, Artifact(Path(f"runs/x/artifacts/{kind}-{key * 12}"), manifest), "ran")


def values(**policy: Any) -> dict[str, Any]:
    rate = {"estimate": 0.8, "low": 0.75, "high": 0.85}
    return {
        "rounds": [
            {
                "round": 1,
                "policy": {"win_rate": rate, "kl_per_response": 5.25, **policy},
                "reward": {"heldout_accuracy": {"estimate": 0.7, "low": 0.65, "high": 0.75}, "longer_wins": 0.55},
                "truth": None,
            }
        ],
        "final": None,
    }


def test_the_verdict_gives_the_win_rate_with_its_interval_beside_what_it_is_worth() -> None:
    assert list(verdict(values())) == [
        "round 1: the new policy is preferred to its start in 80.0% [75.0%, 85.0%] of blind comparisons",
        '  reward model right on 70.0% [65.0%, 75.0%] of held-out pairs; "the longer answer is better" on 55.0%',
        "  distance from its start: KL about 5.25 nats per response, an estimate from its samples",
    ]


def test_what_was_not_measured_is_not_made_up() -> None:
    found = values(win_rate=None, kl_per_response=None)
    found["rounds"][0]["reward"] = None
    assert list(verdict(found)) == ["round 1: nobody compared the new policy with its start"]


def test_the_truth_before_and_after_where_it_can_be_read() -> None:
    found = values()
    before = {"helpful": 0.5, "honest": 0.25, "harmless": 1.0, "over_refusal": None, "mean_length": 20.0}
    found["rounds"][0]["truth"] = {"before": before, "after": {**before, "helpful": 0.75, "over_refusal": 0.125}}
    assert list(verdict(found))[-1] == (
        "  truth before → after: helpful 0.5 → 0.75, honest 0.25 → 0.25, harmless 1 → 1,"
        " over refusal none → 0.125, mean length 20 → 20"
    )


def test_a_suite_without_lines_of_its_own_is_said_too() -> None:
    found = values()
    side = {"low": 0.0, "high": 1.0}
    fell = {"before": {"estimate": 0.5, **side}, "after": {"estimate": 0.25, **side}}
    found["rounds"][0]["suites"] = {"lab": {"helpful": fell}, "redteam": {"harm_done": fell}}
    assert list(verdict(found))[3:] == ["  redteam before → after: harm done 0.5 → 0.25"]


def test_rounds_are_named_also_when_the_last_is_not_done(tmp_path: Path) -> None:
    steps = [
        step("data", ("prompts",), "1"),
        step("policy", (), "a"),
        step("policy", (), "b"),
        step("policy", ("round", 1), "c"),
        step("samples", ("round", 2), "d"),
        step("evaluation", ("final",), "e"),
    ]
    write_rounds(tmp_path, steps)
    made = {p.parent.name: json.loads(p.read_text())["made"] for p in tmp_path.glob("round-*/round.json")}
    names = {folder: [(one["kind"], one["artifact"]) for one in all_made] for folder, all_made in made.items()}
    # The base comes before SFT: what the first round starts from is the later of the two.
    assert names == {
        "round-0": [("policy", "policy-aaaaaaaaaaaa"), ("policy", "policy-bbbbbbbbbbbb")],
        "round-1": [("policy", "policy-cccccccccccc")],
        "round-2": [("samples", "samples-dddddddddddd")],
    }
    start = named(read_round(tmp_path / "round-0"), "policy")
    assert start is not None and start.artifact == "policy-bbbbbbbbbbbb"


def test_skip_bad_reaches_every_source_and_leaves_the_lab_alone() -> None:
    sources = {"demonstrations": [{"path": "d"}], "comparisons": [{"path": "c"}], "corpus": [{"hub": "a/b"}]}
    config = with_skip_bad(RunConfig.parse({"base": {"kind": "scratch"}, "data": {"kind": "files", **sources}}))
    data = config.data.model_dump()
    assert all(source["skip_bad"] for part in sources for source in data[part])
    lab = RunConfig.parse(LAB)
    assert with_skip_bad(lab) == lab


def test_a_plan_runs_nothing_and_a_run_that_waits_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    toy = {"kind": "scratch", "vocab_size": 400, "shape": {"hidden": 16, "layers": 1, "heads": 1, "context": 96}}
    small = {"prompts": 2, "answers": 2, "sampling": {"max_new_tokens": 4, "top_p": 0.5}}
    data = {"kind": "lab", "corpus": 20, "demonstrations": 20, "prompts": 8}
    lab = {"base": toy, "data": data, "sft": None, "sample": small, "collect": {"raters": {"kind": "people"}}}
    brief = {"sampling": {"max_new_tokens": 4}}
    lab |= {"optimize": {"kind": "ppo", **brief}, "evaluate": brief}
    Path("lab.yaml").write_text(yaml.safe_dump({"name": "toy", **lab}))

    assert "0 of" in plan_project(Path("lab.yaml"))[-1]
    assert not list(Path("runs").glob("artifacts/*"))
    with pytest.raises(AwaitingJudgments) as waiting:
        list(run_project(Path("lab.yaml"), quiet=True))
    assert waiting.value.have == 0 and waiting.value.need > 0
    lines = plan_project(Path("lab.yaml"))
    assert [line.split("  ")[0] for line in lines if " done " in line][-1] == "round 1 sample"
    assert next(line for line in lines if "collect" in line).count("would resume") == 1
