"""Everything a config names outside is marked, and what is marked decides the key of the stage that reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from assent.artifacts.outside import mark_of
from assent.artifacts.stage import LogOptions, Runner, Stage
from assent.evaluation.catalog import SUITES
from assent.evaluation.config import EvaluateConfig
from assent.evaluation.settings import PackagedSettings
from assent.evaluation.suites.config import MTBenchConfig, RedTeamConfig, WinogenderConfig
from assent.feedback.config import StoreConfig
from assent.models.config import ModelConfig
from assent.pipeline.config import CollectConfig, ComputeConfig, FileData, PretrainedBase, RunConfig
from assent.pipeline.constitution_config import ReviseConfig
from assent.pipeline.stages.declared import (
    run_base,
    run_collect,
    run_evaluate,
    run_fit_reward,
    run_gather,
    run_measure,
    run_optimize,
    run_revise,
    run_sft,
)
from assent.pipeline.stages.settings import (
    BaseStage,
    CollectStage,
    EvaluateStage,
    GatherStage,
    MeasureStage,
    OptimizeStage,
    ReviseStage,
    RewardStage,
    SFTStage,
)
from assent.training.config import RewardConfig
from assent.training.on_policy_config import PPOConfig

SOUNDS_OUTSIDE = re.compile(
    r"(^|_)(path|target|template|file|files|folder|dir|directory|hub|url|prompt|constitution|profile|module|script)$"
)
COMPUTE = ComputeConfig()


def _classes(start: type[BaseModel]) -> set[type[BaseModel]]:
    """The classes of a config and of everything below it."""
    found: set[type[BaseModel]] = set()
    waiting = [start]
    while waiting:
        config = waiting.pop()
        if config not in found:
            found.add(config)
            waiting += [one for info in config.model_fields.values() for one in _models(info.annotation)]
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _holds(annotation: Any, *wanted: type) -> bool:
    return annotation in wanted or any(_holds(argument, *wanted) for argument in get_args(annotation))


def _fields() -> dict[tuple[str, str], FieldInfo]:
    return {(c.__name__, name): info for c in _classes(RunConfig) for name, info in c.model_fields.items()}


def _marked() -> set[tuple[str, str]]:
    """Fields whose content enters keys."""
    return {place for place, info in _fields().items() if mark_of(info)[0] not in (None, "place", "none")}


def test_a_field_that_looks_like_outside_says_what_it_is() -> None:
    unmarked = [
        ".".join(place)
        for place, info in _fields().items()
        if mark_of(info)[0] is None
        and (_holds(info.annotation, Path) or (SOUNDS_OUTSIDE.search(place[1]) and _holds(info.annotation, str)))
    ]
    assert not unmarked, 'mark it: Field(json_schema_extra={"outside": …}), see artifacts/outside.py'


def _collect(**raters: Any) -> CollectStage:
    collect = CollectConfig.parse({"raters": raters})
    return CollectStage(
        collect=collect, lab=None, people_seed=0, model=ModelConfig(), store=StoreConfig(), compute=COMPUTE
    )


def _judged(**settings: str) -> CollectStage:
    return _collect(kind="autorater", backend={"kind": "local", "path": "judge"}, **settings)


def _principled(**settings: str) -> CollectStage:
    return _collect(kind="constitution", backend={"kind": "python", "target": "own:judge"}, **settings)


def _revise(**settings: str) -> ReviseStage:
    return ReviseStage(revise=ReviseConfig.parse(settings), model=ModelConfig(), compute=COMPUTE)


def _optimize(**reward: Any) -> OptimizeStage:
    return OptimizeStage(optimize=PPOConfig.parse({"rewards": [reward]}), model=ModelConfig(), compute=COMPUTE)


def _gather(**source: Any) -> GatherStage:
    return GatherStage(part="demonstrations", data=FileData.parse({"kind": "files", "demonstrations": [source]}))


def _evaluate(**settings: str) -> EvaluateStage:
    evaluate = EvaluateConfig.parse(settings)
    shared = {"lab": None, "people_seed": 0, "model": ModelConfig(), "store": StoreConfig(), "compute": COMPUTE}
    return EvaluateStage(evaluate=evaluate, raters=None, **shared)


def _reward(**settings: str) -> RewardStage:
    return RewardStage(reward=RewardConfig.parse(settings), model=ModelConfig(), compute=COMPUTE)


def _sat(config: type[PackagedSettings], field: str) -> tuple[str, Stage, Callable[[], Any]]:
    """The case of a suite that reads a file."""
    given = {"path": "rows.jsonl"} | {field: "own.jsonl"}

    def stage() -> MeasureStage:
        return MeasureStage(suite=config.parse(given), items_seed=0, judge=None, model=ModelConfig(), compute=COMPUTE)

    return "own.jsonl", run_measure, stage


CASES: dict[tuple[str, str], tuple[str, Stage, Callable[[], Any]]] = {
    ("PretrainedBase", "path"): (
        "model/weights",
        run_base,
        lambda: BaseStage(base=PretrainedBase(path="model"), model=ModelConfig(), compute=COMPUTE),
    ),
    ("ModelConfig", "template"): (
        "chat.jinja",
        run_sft,
        lambda: SFTStage(
            sft=RunConfig.model_fields["sft"].default, model=ModelConfig(template="chat.jinja"), compute=COMPUTE
        ),
    ),
    ("Source", "path"): ("d.jsonl", run_gather, lambda: _gather(path="d.jsonl")),
    ("Source", "hub"): ("saved/data.arrow", run_gather, lambda: _gather(hub="saved")),
    ("ModelRewardConfig", "path"): ("rm/weights", run_optimize, lambda: _optimize(kind="model", path="rm")),
    ("EnsembleRewardConfig", "models"): (
        "rm/weights",
        run_optimize,
        lambda: _optimize(kind="ensemble", models=[None, "rm"]),
    ),
    ("PythonRewardConfig", "target"): ("own.py", run_optimize, lambda: _optimize(kind="python", target="own:score")),
    ("RewardModelConfig", "path"): ("rm/weights", run_collect, lambda: _collect(kind="reward_model", path="rm")),
    ("LocalJudgeConfig", "path"): ("judge/weights", run_collect, lambda: _judged()),
    ("AutoraterConfig", "rubric"): ("own.yaml", run_collect, lambda: _judged(rubric="own.yaml")),
    ("AutoraterConfig", "prompts"): ("own/role.jinja", run_collect, lambda: _judged(prompts="./own")),
    ("ConstitutionConfig", "constitution"): ("own.yaml", run_collect, lambda: _principled(constitution="own.yaml")),
    ("ConstitutionConfig", "prompts"): ("own/role.jinja", run_collect, lambda: _principled(prompts="./own")),
    ("ProgramConfig", "target"): ("own.py", run_collect, lambda: _principled()),
    ("ReviseConfig", "file"): ("own.yaml", run_revise, lambda: _revise(file="own.yaml")),
    ("ReviseConfig", "wording"): ("own/role.jinja", run_revise, lambda: _revise(wording="./own")),
    ("FunctionConfig", "target"): ("own.py", run_collect, lambda: _collect(kind="function", target="own:score")),
    ("EvaluateConfig", "judge_record"): ("judge/judge.json", run_evaluate, lambda: _evaluate(judge_record="judge")),
    ("RewardConfig", "swaps"): ("own.yaml", run_fit_reward, lambda: _reward(swaps="own.yaml")),
    **{(one.config.__name__, "path"): _sat(one.config, "path") for one in SUITES if "path" in one.config.model_fields},
    **{
        (config.__name__, name): _sat(config, name)
        for config, name in (
            (MTBenchConfig, "references"),
            (RedTeamConfig, "regressions"),
            (WinogenderConfig, "occupations"),
        )
    },
}


def _key(stage: Stage, config: BaseModel) -> str:
    with Runner(Path("runs/x"), seed=0, planning=True, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        return run(stage, config).key


def test_every_marked_field_has_a_case_here() -> None:
    assert set(CASES) == _marked()


@pytest.mark.parametrize("place", sorted(CASES), ids=".".join)
def test_changed_content_is_another_key_and_the_old_content_the_old_one(
    place: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, stage, config = CASES[place]
    file = Path(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text("first = 1\n")
    first = _key(stage, config())
    file.write_text("other = 2\n")
    second = _key(stage, config())
    file.write_text("first = 1\n")
    assert first != second and _key(stage, config()) == first
    file.unlink()
    assert _key(stage, config()) != first, "a plan of what is missing is no error"


def test_the_evaluation_sees_its_raters_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raters = _collect(kind="function", target="own:score").collect.raters  # type: ignore[union-attr]

    def key() -> str:
        evaluate = RunConfig.model_fields["evaluate"].default
        shared = {"lab": None, "people_seed": 0, "model": ModelConfig(), "store": StoreConfig(), "compute": COMPUTE}
        return _key(run_evaluate, EvaluateStage(evaluate=evaluate, raters=raters, **shared))

    Path("own.py").write_text("def score(p, c): return [0.0 for _ in c]\n")
    before = key()
    Path("own.py").write_text("def score(p, c): return [1.0 for _ in c]\n")
    assert key() != before
