"""A language model as the raters of a run: collected, learned from, compared, reported, and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.types import Comparison, Completion, Prompt, Task
from assent.data.config import Source
from assent.data.exports import export
from assent.data.load import load_comparisons
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.config import ModelConfig
from assent.models.tiny import save_tiny
from assent.pipeline.config import CollectConfig, ComputeConfig
from assent.pipeline.doctor.examine import examine
from assent.pipeline.run import run_project
from assent.pipeline.stages.declared import run_collect
from assent.pipeline.stages.settings import CollectStage
from assent.raters.autorater import TOO_LONG
from assent.raters.margins import pairs_in, scores_in
from assent.report.run import report_of

STORE = StoreConfig(url="sqlite:///feedback.db")
JUDGE = {"kind": "autorater", "backend": {"kind": "local", "path": "judge"}}
QUIET = LogOptions(quiet=True, tensorboard=False)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny(Path("judge"), "llama", seed=3)
    settings = json.loads(Path("judge/config.json").read_text())
    Path("judge/config.json").write_text(json.dumps(settings | {"max_position_embeddings": 6000}))
    return tmp_path


def write_lab(**raters: Any) -> None:
    """A run on the lab that takes seconds; the policy learns from the judge's rankings alone."""
    toy = {"kind": "scratch", "vocab_size": 400, "shape": {"hidden": 16, "layers": 1, "heads": 1, "context": 128}}
    brief = {"max_new_tokens": 6}
    values = {
        "name": "toy",
        "base": {**toy, "pretrain": {"epochs": 1}},
        "data": {"kind": "lab", "corpus": 20, "demonstrations": 20, "prompts": 8},
        "sft": None,
        "sample": {"prompts": 4, "answers": 3, "sampling": brief},
        "collect": {"raters": {**JUDGE, **raters}, "overlap_share": 0.0},
        "optimize": {"kind": "dpo", "batch_size": 4},
        "evaluate": {"prompts": 2, "sampling": brief},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def test_a_run_on_the_lab_is_judged_by_a_model_from_end_to_end() -> None:
    write_lab(mode="both", criteria=["helpful"])
    lines = list(run_project(Path("assent.yaml"), quiet=True))
    assert any("blind comparisons" in line for line in lines)
    [judgments] = Path("runs/artifacts").glob("judgments-*")
    learned = read_records(judgments / "comparisons.jsonl", Comparison)
    said = [judgment for one in learned for judgment in one.judgments]
    assert len(said) == 4 and {j.rater_id for j in said} == {"judge judge by hhh"}
    for judgment in said:
        assert judgment.ranking is not None and len(judgment.ranking.ids) == 3
        assert len(pairs_in(judgment)) == 3 and len(scores_in(judgment)) == 3, "details survive store and artifact"
        assert all(set(scores) == {"helpful"} for scores in judgment.scores.values())
    report_of(Path("runs/toy"))
    assert "a language model as judge" in Path("runs/toy/report.html").read_text(encoding="utf-8")
    with Store.open("sqlite:///feedback.db") as store:
        assert {rater.kind for rater in store.raters()} == {"autorater"}


def test_what_a_judge_measured_comes_back_from_our_own_format() -> None:
    write_lab()
    list(run_project(Path("assent.yaml"), quiet=True))
    [judgments] = Path("runs/artifacts").glob("judgments-*")
    rows = read_records(judgments / "comparisons.jsonl", Comparison)
    export(rows, "assent", Path("own.jsonl"))
    back, _ = load_comparisons([Source(path=Path("own.jsonl"))])
    assert [j.details for one in back for j in one.judgments] == [j.details for one in rows for j in one.judgments]
    assert rows[0].judgments[0].details["pairs"]


class Nothing(Config):
    """No settings."""


@stage(name="sample", version=1, kind="samples")
def sample(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    tasks = []
    for name, first in (("a", "Yes."), ("b", "x" * 200_000), ("c", "")):
        prompt = Prompt.of(f"What about {name}?")
        answers = (Completion(prompt_id=prompt.id, text=t, id=f"{name}{n}") for n, t in enumerate((first, "No.")))
        tasks.append(Task(id=name, prompt=prompt, completions=tuple(answers)))
    write_records(ctx.output / "tasks.jsonl", tasks)
    return {}


def collect(**raters: Any) -> Artifact:
    config = CollectStage(
        collect=CollectConfig.parse({"raters": {**JUDGE, **raters}, "overlap_share": 0.0}),
        lab=None,
        people_seed=0,
        model=ModelConfig(),
        store=STORE,
        compute=ComputeConfig(),
    )
    with Runner(Path("runs/toy"), seed=0, logs=QUIET) as run:
        return run(run_collect, config, samples=run(sample, Nothing()))


def test_what_a_judge_cannot_read_is_a_skip_with_its_reason_and_the_run_goes_on() -> None:
    judgments = collect()
    found = read_records(judgments.file("comparisons.jsonl"), Comparison)
    assert {one.judgments[0].task_id for one in found} == {"a", "c"}
    with Store.open(STORE.url) as store:
        said = {j.task_id: j for j in store.judgments(Queue(judgments.notes["project"], "reward"))}
    assert set(said) == {"a", "b", "c"} and said["b"].skip_reason is not None
    assert said["b"].skip_reason.startswith(TOO_LONG) and said["b"].ranking is None


def test_other_settings_are_another_judge_and_the_same_ones_ask_nothing_again() -> None:
    first, again, other = collect(), collect(), collect(rubric="concision")
    assert first.key == again.key != other.key
    assert first.notes["project"] != other.notes["project"]
    [one, *_] = read_records(other.file("comparisons.jsonl"), Comparison)
    assert one.judgments[0].rater_id == "judge judge by concision"


def test_the_doctor_asks_the_judge_one_question() -> None:
    write_lab(mode="both")
    found = [one for one in examine(Path("assent.yaml")) if one.key.startswith("collect.raters")]
    assert len(found) == 1 and found[0].level == "warning", "a random model covers little"
    assert "P(right)" in found[0].message and "mean scores" in found[0].message


@pytest.mark.parametrize(
    ("raters", "said"),
    [
        ({"rubric": "hhx"}, "the package has no rubric 'hhx'"),
        ({"rubric": "./own.yaml"}, "no such file"),
        ({"criteria": ["helpfull"]}, "did you mean 'helpful'"),
        ({"prompts": "./none"}, "no such file"),
        ({"backend": {"kind": "local", "path": "./nowhere"}}, "no such folder"),
    ],
)
def test_the_doctor_names_what_cannot_work(raters: dict[str, Any], said: str) -> None:
    write_lab(**raters)
    [found] = [one for one in examine(Path("assent.yaml")) if one.key.startswith("collect.raters")]
    assert found.is_error and said in str(found) and "\n" not in found.message
