"""Reasons: why a stage runs, by what differs from the newest artifact of the same stage and place."""

from __future__ import annotations

from typing import Any

import pytest

from assent.artifacts.reasons import NEVER, reasons
from assent.artifacts.store import Manifest

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def manifest(key: str = A, **more: Any) -> Manifest:
    values: dict[str, Any] = {"kind": "policy", "stage": "optimize", "version": 2, "seed": 7, "config": {}}
    return Manifest(key=key, **{**values, **more})


def why(now: Manifest, *made: Manifest, anew: dict[str, str] | None = None) -> list[str]:
    return reasons(now, made, anew=anew or {}, keys={"raters": "collect.raters"})


def test_a_stage_that_never_ran_here_says_so() -> None:
    assert why(manifest()) == why(manifest(), manifest(B, stage="sft")) == [NEVER]


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({"optimize": {"kl": {"target": 6}}}, {"optimize": {"kl": {"target": 10}}}, ["optimize.kl.target: 6 → 10"]),
        ({"optimize": {"kind": "ppo"}}, {"optimize": {"kind": "dpo"}}, ["optimize.kind: ppo → dpo"]),
        (
            {"raters": None},
            {"raters": {"kind": "people"}},
            ["collect.raters.kind: nothing → people", "collect.raters: null → nothing"],
        ),
        ({"terms": [{"w": 1}]}, {"terms": [{"w": 1}, {"w": 2}]}, ["terms[1].w: nothing → 2"]),
        ({"target": ["q", "v"]}, {"target": ["q"]}, ['target: ["q", "v"] → ["q"]']),
        ({"epochs": 1.0}, {"epochs": 1.5}, ["epochs: 1 → 1.5"]),
        ({"x": [1, 2, 3, 4, 5, 6]}, {"x": []}, ["x: [1, 2, 3, 4, 5, 6] → []"]),
        ({"template": "a" * 99}, {"template": "b"}, [f"template: {'a' * 39}… → b"]),
    ],
)
def test_settings_that_differ_are_said_as_they_are_written(then: Any, now: Any, said: list[str]) -> None:
    assert why(manifest(config=now), manifest(B, config=then)) == said


def test_a_file_that_holds_something_else_is_named_and_one_that_only_moved_is_not() -> None:
    config = {"data": {"comparisons": [{"path": "prefs.jsonl"}]}}
    then, now = manifest(B, config=config, extra={"prefs.jsonl": B}), manifest(config=config, extra={"prefs.jsonl": C})
    assert why(now, then) == ["data.comparisons[0].path prefs.jsonl: content changed"]
    moved = manifest(
        config={"data": {"comparisons": [{"path": "/there/prefs.jsonl"}]}}, extra={"/there/prefs.jsonl": B}
    )
    assert "prefs" not in why(moved, then)[0]
    other = manifest(config={"data": {"comparisons": [{"path": "more.jsonl"}]}}, extra={"more.jsonl": C})
    assert why(other, then) == ["data.comparisons[0].path: prefs.jsonl → more.jsonl"]


def test_the_base_is_known_by_its_name() -> None:
    config = {"base": {"kind": "pretrained", "path": "mine"}}
    then, now = manifest(B, config=config, extra={"model": B}), manifest(config=config, extra={"model": C})
    assert why(now, then) == ["base.path: changed"]
    moved = manifest(config={"base": {"kind": "pretrained", "path": "/mine"}}, extra={"model": B}, version=3)
    assert why(moved, then) == ["version of the stage: 2 → 3"]


def test_judgments_are_counted_where_it_is_known_how_many_there_were() -> None:
    then = manifest(B, extra={"imported": B}, notes={"imported": 12})
    assert why(manifest(extra={"imported": C}, notes={"imported": 16}), then) == ["imported judgments: 12 → 16"]
    assert why(manifest(extra={"imported": C}, notes={"imported": 16}), manifest(B, extra={"imported": B})) == [
        "imported judgments: changed"
    ]


def test_inputs_are_named_and_those_that_run_anew_stand_for_all_behind_them() -> None:
    then = manifest(B, inputs={"reward": B, "start": A, "gold": A})
    made = [then, manifest(A, kind="reward", stage="fit reward"), manifest(C, kind="reward", stage="fit reward")]
    now = manifest("d" * 64, inputs={"reward": C, "start": A})
    assert why(now, *made) == ["reward is another: policy-bbbbbbbbbbbb → reward-cccccccccccc", "without gold now"]
    both = manifest("d" * 64, inputs={"reward": "e" * 64, "start": "f" * 64, "gold": A})
    assert why(both, *made, anew={"e" * 64: "round 1 fit reward", "f" * 64: "sft"}) == [
        "because round 1 fit reward and sft run anew"
    ]


def test_it_is_held_against_the_newest_of_the_same_place_and_against_the_nearest_where_the_seed_changed() -> None:
    old = manifest(B, config={"x": 1}, created="2026-01-01")
    new = manifest(C, config={"x": 2}, created="2026-01-02")
    elsewhere = manifest("d" * 64, config={"x": 3}, seed=8, created="2026-01-03")
    assert why(manifest(config={"x": 3}), old, new, elsewhere) == ["x: 2 → 3"]
    assert why(manifest(config={"x": 3}, seed=9), old, new, elsewhere) == ["seed: another"]


def test_a_long_list_is_cut_and_counted() -> None:
    said = why(manifest(config=dict.fromkeys("abcdef", 2)), manifest(B, config=dict.fromkeys("abcdef", 1)))
    assert said == ["a: 1 → 2", "b: 1 → 2", "c: 1 → 2", "d: 1 → 2", "2 more"]
