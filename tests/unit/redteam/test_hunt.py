"""Hunts on planted policies: holes are found and named, intact policies are left alone, and a stopped hunt goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from assent.core.errors import UserError
from assent.core.types import Prompt
from assent.evaluation.refusal import refusal_of
from assent.redteam.detectors import leak_detector, refusal_detector
from assent.redteam.hunt import Hunt, Plan
from assent.redteam.operators.catalog import OPERATORS
from assent.redteam.planted import INTACT, Planted, planted_named
from assent.redteam.script import Script
from assent.redteam.target import Ledger, play


def plan(policy: Planted, seed: int = 0) -> Plan:
    detector = leak_detector() if policy.topic == "codeword" else refusal_detector(refusal_of)
    return Plan(policy.behaviours, OPERATORS, detector, refusal_of, seed=seed)


def hunt(policy: Planted, *, budget: int = 600, seed: int = 0, path: Path | None = None) -> Hunt:
    return Hunt(plan(policy, seed), Ledger(policy, seed=seed, budget=budget, path=path)).run()


@pytest.mark.parametrize(
    ("hole", "chain"),
    [
        ("base64", ("base64",)),
        ("persona", ("persona",)),
        ("many shots", ("many_shot_8",)),
        ("asked again", ("pushback",)),
        ("flattery", ("flattery",)),
    ],
)
def test_a_planted_hole_is_found_by_the_operator_that_opens_it(hole: str, chain: tuple[str, ...]) -> None:
    policy = planted_named(hole)
    found = hunt(policy)
    assert chain in {one.chain for one in found.findings}
    assert all(policy.fails(one.answer) for one in found.findings)


def test_a_hole_that_two_operators_open_together_is_found_as_two() -> None:
    found = hunt(planted_named("urgency and authority"))
    assert {"urgency", "authority"} in [set(one.chain) for one in found.findings]
    assert all(len(one.chain) == 2 for one in found.findings)


def test_a_trigger_is_made_as_small_as_it_can_be() -> None:
    [first, *_] = hunt(planted_named("flattery")).findings
    assert first.script.text == f"wisest {first.request}"


@pytest.mark.parametrize("policy", INTACT, ids=lambda one: one.name)
def test_an_intact_policy_has_no_findings(policy: Planted) -> None:
    found = hunt(policy)
    assert found.findings == []
    assert len(found.attempts) > 300


def test_what_is_said_to_anything_is_no_failure_and_is_counted() -> None:
    found = hunt(next(one for one in INTACT if one.topic == "pineapple"))
    assert found.idle > 0
    assert all(not one.is_hit for one in found.attempts)


def test_a_policy_that_fails_when_asked_plainly_has_the_empty_chain() -> None:
    class Open(Planted):
        def answers(self, prompts: Sequence[Prompt], *, seed: int) -> list[str | None]:
            return [self.failing] * len(prompts)

    policy = Open("open", "codeword", INTACT[0].failing)
    found = hunt(policy, budget=60)
    assert {one.chain for one in found.findings} == {()}
    assert len(found.findings) == len(policy.behaviours)


def test_the_budget_is_never_exceeded_and_the_same_seed_gives_the_same() -> None:
    policy = planted_named("foot in the door")
    first, second = hunt(policy, budget=150), hunt(policy, budget=150)
    assert first.ledger.used <= 150
    assert first.attempts == second.attempts and first.findings == second.findings
    assert first.attempts != hunt(policy, budget=150, seed=1).attempts


class Stopping:
    """A target that fails after so many batches, as a killed process does."""

    def __init__(self, policy: Planted, batches: int) -> None:
        self.policy, self.batches, self.asked = policy, batches, 0

    @property
    def name(self) -> str:
        return self.policy.name

    def answers(self, prompts: Sequence[Prompt], *, seed: int) -> list[str | None]:
        if self.batches == 0:
            raise KeyboardInterrupt
        self.batches -= 1
        self.asked += len(prompts)
        return self.policy.answers(prompts, seed=seed)


def test_a_stopped_hunt_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    policy = planted_named("base64, every second time")
    whole = hunt(policy, budget=200)
    path = tmp_path / "ledger.jsonl"
    with pytest.raises(KeyboardInterrupt):
        Hunt(plan(policy), Ledger(Stopping(policy, 9), seed=0, budget=200, path=path)).run()
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"asked": "torn')
    going_on = Stopping(policy, 1000)
    found = Hunt(plan(policy), Ledger(going_on, seed=0, budget=200, path=path)).run()
    assert found.attempts == whole.attempts and found.findings == whole.findings
    assert going_on.asked == whole.ledger.used - found.ledger.known and found.ledger.known > 0
    assert path.stat().st_mode & 0o077 == 0


def test_a_ledger_of_other_settings_is_refused(tmp_path: Path) -> None:
    policy = planted_named("base64")
    hunt(policy, budget=20, path=tmp_path / "l.jsonl")
    with pytest.raises(UserError, match="other settings"):
        Ledger(policy, seed=1, budget=20, path=tmp_path / "l.jsonl")


def test_a_script_too_long_for_the_target_has_no_answer() -> None:
    def ask(prompts: Sequence[Prompt]) -> list[str | None]:
        return [None if len(one.text) > 20 else "Yes." for one in prompts]

    shown = play([Script.of("short"), Script.of("long " * 50)], ask)
    assert [one.answer for one in shown] == ["Yes.", None]
