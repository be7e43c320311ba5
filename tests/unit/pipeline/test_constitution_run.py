"""A run by a constitution: revisions with their lineage, judgments by principles, and what the report counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.find import store_at
from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.errors import ConfigError, DataError
from assent.core.types import Comparison, Completion, Conversation, Prompt
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.constitution import check_constitution
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project
from assent.pipeline.stages.revise import revised
from assent.raters.constitution import Constitution
from assent.raters.revising import ProgramReviser, Revision

BRIEF = {"max_new_tokens": 10}
HERE = "test_constitution_run"


def judge(principle: str, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """One principle likes few letters, the others many; one never minds."""
    sign = {"no_harm": 1, "no_needless_refusal": -1, "says_something": 1, "no_rudeness": 0}[principle]
    return [float(sign * len(answer)) for answer in answers]


def revise(principle: str, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[str]:
    """Two of three answers are changed, one in nine is left without a word."""
    said = {0: "", 3: "Dear customer."}
    return [said.get(len(a) % 9, f"{a[:20]} Regards." if len(a) % 3 else a) for a in answers]


def settings(**more: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "base": {
            "kind": "scratch",
            "vocab_size": 400,
            "shape": {"hidden": 16, "layers": 1, "heads": 1, "context": 160},
            "pretrain": {"epochs": 1},
        },
        "data": {"kind": "lab", "corpus": 20, "demonstrations": 20, "prompts": 40},
        "sft": None,
        "constitution": {
            "file": "lab",
            "by": {"kind": "python", "target": f"{HERE}:revise"},
            "prompts": 30,
            "revisions": 2,
            "sampling": BRIEF,
            "sft": {"epochs": 1, "eval_share": 0},
        },
        "sample": {"prompts": 6, "answers": 3, "sampling": BRIEF},
        "collect": {
            "raters": {
                "kind": "constitution",
                "constitution": "lab",
                "backend": {"kind": "python", "target": f"{HERE}:judge"},
            },
            "overlap_share": 0.0,
        },
        "optimize": {"kind": "dpo", "batch_size": 4},
        "evaluate": {"prompts": 2, "sampling": BRIEF},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
        **more,
    }


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**more: Any) -> Path:
    path = Path("assent.yaml")
    path.write_text(yaml.safe_dump(settings(**more)), encoding="utf-8")
    return path


def made(kind: str) -> list[Artifact]:
    folder = Path("runs/artifacts")
    return [one for one in store_at(folder).all() if one.kind == kind] if folder.is_dir() else []


TWO = Constitution.parse(
    {
        "name": "two",
        "version": "1",
        "principles": [
            {"id": "no_leaks", "about": ["harm"], "critique": "c", "revision": "r", "preference": "p"},
            {"id": "harm", "critique": "d", "revision": "s", "preference": "q"},
        ],
    }
)


class Nothing(Config):
    """No settings."""


@stage(name="revise", version=1, kind="revisions")
def by_two(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    asked = [Prompt.of(f"What is {n}?") for n in range(3)]
    said = [(one, Completion(prompt_id=one.id, text="A")) for one in asked]
    reviser = ProgramReviser("p", lambda principle, prompts, answers: [f"{one} {principle}" for one in answers])
    write_records(ctx.output / "steps.jsonl", chain(*revised(ctx, reviser, TWO, said, revisions=2)))
    return {}


def test_a_principle_whose_id_is_a_topic_of_another_has_its_own_step(tmp_path: Path) -> None:
    with Runner(tmp_path, seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        steps = read_records(run(by_two, Nothing()).file("steps.jsonl"), Revision)
    assert len(steps) == 6
    for first, second in zip(steps[::2], steps[1::2], strict=True):
        assert {first.principle, second.principle} == {"no_leaks", "harm"}
        assert second.after == f"A {first.principle} {second.principle}"


def test_a_run_revises_learns_from_it_and_is_judged_by_principles() -> None:
    lines = list(run_project(write(), quiet=True))
    assert any("blind comparisons" in line for line in lines)
    [revised] = made("revisions")
    steps = read_records(revised.file("revisions.jsonl"), Revision)
    learned = read_records(revised.file("demonstrations.jsonl"), Conversation)
    _every_step_is_counted(revised, steps, learned)
    tuned = [one for one in made("policy") if one.manifest.stage == "sft"]
    assert [one.manifest.parents["demonstrations"] for one in tuned] == [revised.key]
    [samples] = made("samples")
    assert samples.manifest.parents["policy"] == tuned[0].key, "rounds start from what learned from revisions"
    [judgments] = made("judgments")
    said = [j for one in read_records(judgments.file("comparisons.jsonl"), Comparison) for j in one.judgments]
    assert said and all(j.rater_id.startswith(f"constitution/{j.details['principle']}@") for j in said)
    assert all(j.details["pairs"] and j.details["principle"] != "no_rudeness" for j in said), (
        "who never minds is silent"
    )
    result = json.loads(Path("runs/toy/result.json").read_text())
    assert {"revise", "sft on revisions"} <= set(result["setup"]["seconds"])
    counted = result["not_as_given"]["revise"]
    assert counted["revisions that could not be taken"] == sum(s.outcome == "empty" for s in steps)
    assert all(" done " in line for line in plan_project(Path("assent.yaml"))[:-1])


def _every_step_is_counted(revised: Artifact, steps: list[Revision], learned: list[Conversation]) -> None:
    notes = revised.notes
    assert sum(notes["outcomes"].values()) == len(steps) == 2 * notes["answers"]
    assert sum(n for own in notes["by_principle"].values() for n in own.values()) == len(steps)
    of: dict[str, list[Revision]] = {}
    for step in steps:
        of.setdefault(step.prompt_id, []).append(step)
    assert all(len({s.principle for s in own}) == 2 and own[1].before == own[0].after for own in of.values())
    by_prompt = {one.prompt.id: one for one in learned}
    changed = {name for name, own in of.items() if any(s.outcome == "revised" for s in own)}
    assert set(by_prompt) >= changed and len(changed) == notes["changed_answers"] > 0
    for name, one in by_prompt.items():
        why = one.meta["revised"]
        assert one.messages[-1].content == of[name][-1].after and why["before"] == of[name][0].before
        assert why["principles"] == [s.principle for s in of[name] if s.outcome == "revised"]
    assert notes["answers"] - len(learned) == notes["unfinished_answers"]


def test_where_nothing_is_to_be_learned_the_run_says_what_came_back() -> None:
    own = settings()["constitution"] | {"by": {"kind": "python", "target": "assent.lab.rules:revise"}}
    with pytest.raises(DataError, match=r"nothing of \d+ answers to 30 prompts .* unchanged \d+.*max_new_tokens"):
        list(run_project(write(constitution=own | {"sampling": {"max_new_tokens": 2}}), quiet=True))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"file": "labb"}, "there is no constitution labb"),
        ({"revisions": 5}, "constitution.revisions is 5, but there are 4 principles of lab"),
        ({"principles": ["tone", "hram"]}, "did you mean 'harm'"),
    ],
)
def test_a_constitution_that_cannot_be_used_ends_a_run_before_anything_is_trained(
    changed: dict[str, Any], said: str
) -> None:
    path = write(constitution=settings()["constitution"] | changed)
    with pytest.raises(ConfigError) as error:
        list(run_project(path, quiet=True))
    assert said in str(error.value) or "the package has no constitution 'labb'" in str(error.value)
    assert not made("policy")
    found = [one for one in check_constitution(RunConfig.parse(yaml.safe_load(path.read_text()))) if one.is_error]
    assert len(found) == 1 and said in str(found[0])


def test_adapters_learn_from_revisions_as_fast_as_from_demonstrations() -> None:
    lora = {"lora": {"rank": 4}}
    for own in ({"file": "lab"}, {"file": "lab", "sft": {"epochs": 1}}):
        read = RunConfig.parse(settings(constitution=own, sft={}, model=lora))
        assert read.constitution is not None and read.constitution.sft is not None and read.sft is not None
        assert read.constitution.sft.optimizer.learning_rate == read.sft.optimizer.learning_rate == 2e-4
    none = RunConfig.parse(settings(constitution={"file": "lab", "sft": None}, model=lora)).constitution
    assert none is not None and none.sft is None


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"constitution": {"file": "lab"}}, "constitution.by"),
        ({"constitution": settings()["constitution"] | {"keep_unchanged": False}}, "constitution.keep_unchanged"),
    ],
)
def test_the_doctor_warns_of_what_will_not_do_what_is_hoped_for(more: dict[str, Any], key: str) -> None:
    found = [one for one in check_constitution(RunConfig.parse(settings(**more))) if one.level == "warning"]
    assert [one.key for one in found] == [key]
