"""Methods in a run: each is given what it says it needs, and nobody else asks which method it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import assent
from assent.pipeline.plan import plan_project
from assent.report.training import METHODS
from assent.training.config import methods
from assent.training.method import Method
from assent.training.on_policy_config import GRPOConfig, PPOConfig, PTXConfig, ReinforceConfig, RLOOConfig
from assent.training.online_config import BestOfNConfig, OnlineDPOConfig
from assent.training.preference_config import DPOConfig, KTOConfig, ORPOConfig, SimPOConfig
from assent.training.reward_terms import ModelRewardConfig, PythonRewardConfig

OWN = (PythonRewardConfig(target="my_rewards:short"),)
OTHER = (ModelRewardConfig(path="models/judge"),)
RUN = """
name: planned
base: {kind: scratch}
data: {kind: lab, corpus: 10, demonstrations: 10, prompts: 10}
collect: {raters: {kind: simulated}}
"""


@pytest.mark.parametrize(
    ("method", "needs"),
    [
        (PPOConfig(), {"prompts", "reward"}),
        (PPOConfig(rewards=OWN), {"prompts"}),
        (PPOConfig(ptx=PTXConfig(coefficient=0.1)), {"prompts", "reward", "demonstrations"}),
        (GRPOConfig(), {"prompts", "reward"}),
        (GRPOConfig(rewards=OWN), {"prompts"}),
        (RLOOConfig(rewards=OTHER), {"prompts"}),
        (ReinforceConfig(rewards=OWN, ptx=PTXConfig(coefficient=0.1)), {"prompts", "demonstrations"}),
        (DPOConfig(), {"judgments"}),
        (DPOConfig(weights="raters"), {"judgments", "reward"}),
        (KTOConfig(), {"judgments"}),
        (ORPOConfig(), {"judgments"}),
        (SimPOConfig(), {"judgments"}),
        (OnlineDPOConfig(rewards=OWN), {"prompts"}),
        (BestOfNConfig(), {"prompts", "reward"}),
    ],
    ids=lambda value: value.kind if isinstance(value, Method) else " ".join(sorted(value)),
)
def test_a_method_needs_what_its_settings_use(method: Method, needs: set[str]) -> None:
    assert method.needs == needs
    more = {"reward"} if method.kind == "ppo" else set()  # the value model starts from it where there is one
    assert method.wants == needs | more


@pytest.mark.parametrize(
    ("optimize", "stages"),
    [
        ("{kind: dpo}", ["sample", "collect", "optimize", "evaluate"]),
        ("{kind: grpo}", ["sample", "collect", "reward", "optimize", "evaluate"]),
        (
            "{kind: rloo, rewards: [{kind: python, target: 'assent.lab.reward:truth'}]}",
            ["sample", "collect", "optimize", "evaluate"],
        ),
    ],
)
def test_a_round_makes_only_what_its_method_needs(
    optimize: str, stages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("assent.yaml").write_text(f"{RUN}optimize: {optimize}\n", encoding="utf-8")
    lines = [line for line in plan_project(Path("assent.yaml")) if line.startswith("round 1 ")]
    assert [line.removeprefix("round 1 ").partition("  ")[0] for line in lines] == stages


def test_the_report_shows_numbers_of_every_method() -> None:
    assert METHODS.keys() == methods().keys()


def test_nobody_outside_the_factory_asks_which_method_a_run_uses() -> None:
    """Only `pipeline/stages/optimize.py` tells methods apart by their class; others ask the method."""
    names = {method.__name__ for method in methods().values()}
    package = Path(assent.__file__).parent
    asking = []
    for path in package.rglob("*.py"):
        place = path.relative_to(package).as_posix()
        if place == "pipeline/stages/optimize.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                    asked = {one.id for one in ast.walk(kinds) if isinstance(one, ast.Name)}
                case ast.MatchClass(cls=ast.Name(id=name)):
                    asked = {name}
                case _:
                    continue
            asking += [f"{place}:{node.lineno}"] if asked & names else []
    assert not asking
