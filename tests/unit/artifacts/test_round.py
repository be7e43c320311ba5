"""A round on disk: what it made has names by stage and by kind, also with two artifacts of one kind, and of old."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from assent.artifacts.round import STAGES, Made, named, names_of, read_round, stage_name, write_round
from assent.artifacts.store import Manifest
from assent.core.errors import UserError
from assent.pipeline.rounds import RoundResult
from assent.pipeline.stages.declared import (
    run_collect,
    run_evaluate,
    run_fit_reward,
    run_gate,
    run_optimize,
    run_sample,
)


def made(stage: str, kind: str, letter: str) -> Made:
    return Made(stage, kind, f"{kind}-{letter * 12}", letter * 64)


def artifact(found: list[Made], name: str) -> str | None:
    one = named(found, name)
    return None if one is None else one.artifact[-1]


def test_the_stages_are_those_that_a_round_runs_and_keeps() -> None:
    functions = (run_sample, run_collect, run_fit_reward, run_optimize, run_evaluate, run_gate)
    assert [(s.title, s.kind) for s in STAGES] == [(f.name, f.kind) for f in functions]
    assert {s.field for s in STAGES} < {field.name for field in dataclasses.fields(RoundResult)}


def test_two_artifacts_of_a_kind_in_a_round_both_have_a_name(tmp_path: Path) -> None:
    write_round(
        tmp_path,
        2,
        [
            made("fit reward", "reward", "a"),
            made("optimize", "policy", "b"),
            made("evaluate", "evaluation", "c"),
            made("red team", "evaluation", "d"),
        ],
    )
    found = read_round(tmp_path / "round-2")
    assert len(found) == 4
    assert [artifact(found, name) for name in ("evaluate", "evaluation", "red team")] == ["c", "c", "d"]
    assert [artifact(found, name) for name in ("reward", "fit reward", "optimize", "policy")] == ["a", "a", "b", "b"]
    assert artifact(found, "samples") is None
    assert names_of(found) == ["reward", "policy", "evaluation", "red team"]
    # Never a word of manifests alone ("fit reward"), which no plan or report has.
    assert names_of([made("fit reward", "reward", "a"), made("fit reward", "reward", "b")]) == ["reward", "reward"]


def test_what_a_round_starts_from_is_the_last_policy_before_it() -> None:
    found = [made("base", "policy", "a"), made("sft", "policy", "b")]
    assert [artifact(found, name) for name in ("policy", "base", "sft")] == ["b", "a", "b"]


def test_a_file_of_the_form_before_is_read_by_kind_and_by_stage(tmp_path: Path) -> None:
    old = {kind: {"artifact": f"{kind}-{x * 12}", "key": x * 64} for kind, x in (("samples", "a"), ("reward", "b"))}
    (tmp_path / "round.json").write_text(json.dumps({"round": 1, "made": old}))
    found = read_round(tmp_path)
    assert [artifact(found, n) for n in ("samples", "sample", "reward", "policy")] == ["a", "a", "b", None]


@pytest.mark.parametrize("text", ["{half", "[]", '{"made": [1]}', '{"made": {"policy": "x"}}'])
def test_a_file_that_is_no_round_is_named_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "round.json").write_text(text)
    with pytest.raises(UserError, match="write it anew"):
        read_round(tmp_path)


def test_a_stage_has_one_name_for_people_wherever_it_is_told() -> None:
    assert stage_name(("round", 1), "fit reward") == "round 1 reward"
    assert stage_name(("prompts",), "gather") == "data prompts"
    assert stage_name((), "sft") == "sft"
    about = Manifest(kind="data", key="a" * 64, stage="gather", version=1, config={"part": "prompts"})
    assert about.title == "data prompts"
    assert about.model_copy(update={"stage": "fit reward", "config": {"part": "x"}}).title == "reward"


def test_who_opens_the_folder_of_a_round_reads_where_its_model_is(tmp_path: Path) -> None:
    write_round(tmp_path, 1, [made("optimize", "policy", "a")])
    assert "assent export FOLDER" in (tmp_path / "round-1" / "README.md").read_text(encoding="utf-8")
