"""Forgetting a rater: what rests on them is listed, its keys change, and it is made again without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.cli import app
from assent.core.config import Config
from assent.core.errors import AwaitingJudgments
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.config import ModelConfig
from assent.pipeline.config import CollectConfig, ComputeConfig, RunConfig
from assent.pipeline.erasures import erased_judgments, erased_snapshots, evaluation_project, touched
from assent.pipeline.places import open_project
from assent.pipeline.rounds import judgments_identity, run_all
from assent.pipeline.stages.declared import run_collect
from assent.pipeline.stages.settings import CollectStage

QUIET = LogOptions(quiet=True, tensorboard=False)


class Nothing(Config):
    """No settings."""


@stage(name="sample", version=1, kind="samples")
def sample(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    prompt = Prompt.of("Why?")
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in ("a", "b"))
    write_records(ctx.output / "tasks.jsonl", [Task(id=f"t{n}", prompt=prompt, completions=answers) for n in range(2)])
    return {}


@stage(name="fit", version=1, kind="reward")
def fit(ctx: StageContext, config: Nothing, *, judgments: Artifact) -> dict[str, Any]:
    (ctx.output / "weights").write_text("w")
    return {}


@stage(name="evaluate", version=1, kind="evaluation")
def compare(ctx: StageContext, config: Nothing, *, policy: Artifact, baseline: Artifact) -> dict[str, Any]:
    (ctx.output / "evaluation.json").write_text("{}")
    return {}


def _store() -> StoreConfig:
    return StoreConfig(url=f"sqlite:///{Path('feedback.db').absolute()}")


def _run(store: StoreConfig) -> tuple[Artifact, Artifact, Artifact]:
    """Samples that people rank, the judgments, and a model made of them."""
    people = CollectConfig.parse({"raters": {"kind": "people"}, "overlap_share": 0.0})
    config = CollectStage(
        collect=people, lab=None, people_seed=0, model=ModelConfig(), store=store, compute=ComputeConfig()
    )
    lab = {"base": {"kind": "scratch"}, "data": {"kind": "lab"}, "collect": {"raters": {"kind": "people"}}}
    whole = RunConfig.parse(lab).model_copy(update={"store": store})
    with Runner(Path("runs/toy"), seed=0, logs=QUIET) as run:
        samples = run(sample, Nothing())
        extra = judgments_identity(whole, samples, is_first=True)
        judgments = run(run_collect, config, extra=extra, samples=samples)
        return samples, judgments, run(fit, Nothing(), judgments=judgments)


def _judge(store: StoreConfig, rater: str, *tasks: str) -> None:
    with Store.open(store.url) as opened:
        opened.register_rater(Rater(id=rater, kind="person"), now=0)
        for task in tasks:
            ranking = Ranking(tiers=(("a",), ("b",)))
            opened.submit(Judgment(id=f"{rater}-{task}", task_id=task, rater_id=rater, ranking=ranking), now=1)


def _raters(judgments: Artifact) -> set[str]:
    records = read_records(judgments.file("comparisons.jsonl"), Comparison)
    return {j.rater_id for one in records for j in one.judgments}


def test_a_run_is_made_again_without_a_rater_who_was_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = _store()
    with pytest.raises(AwaitingJudgments):
        _run(store)
    _judge(store, "anna", "t0")
    _judge(store, "ben", "t1")
    samples, before, model = _run(store)
    assert _raters(before) == {"anna", "ben"}
    assert [one.key for one in _run(store)] == [samples.key, before.key, model.key]

    said = CliRunner().invoke(app, ["feedback", "erase", "anna", "--yes", "--store", store.url])
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()[1:]
    assert lines[0].startswith("erased: 1 judgments; what is left is the tombstone erased-")
    assert lines[1].startswith(f"snapshot {samples.name} (")
    assert lines[2:4] == [f"{before.folder} holds what they said", f"{model.folder} was made from it"]

    with pytest.raises(AwaitingJudgments) as waiting:  # the erased judgment's slot is free again
        _run(store)
    assert (waiting.value.have, waiting.value.need) == (1, 2)
    _judge(store, "ben", "t0")
    again, after, remade = _run(store)
    assert again.key == samples.key and after.key != before.key and remade.key != model.key
    assert _raters(after) == {"ben"}
    assert [one.key for one in _run(store)] == [again.key, after.key, remade.key]


def test_removing_leaves_nothing_of_it_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = _store()
    with pytest.raises(AwaitingJudgments):
        _run(store)
    _judge(store, "anna-of-the-north", "t0", "t1")
    samples, _, _ = _run(store)
    said = CliRunner().invoke(
        app, ["feedback", "erase", "anna-of-the-north", "--remove", "--yes", "--store", store.url]
    )
    assert said.output.splitlines()[-1].startswith("2 artifacts were removed")
    assert [p.name for p in Path("runs/toy/artifacts").iterdir()] == [samples.name]
    holding = [p for p in Path("runs").rglob("*") if p.is_file() and b"anna-of-the-north" in p.read_bytes()]
    assert not holding


def test_every_later_stage_of_a_real_plan_gets_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toy = {"name": "toy", "base": {"kind": "scratch"}, "data": {"kind": "lab"}, "rounds": 2}
    Path("toy.yaml").write_text(yaml.safe_dump({**toy, "collect": {"raters": {"kind": "people"}}}))
    config = open_project(Path("toy.yaml")).config

    def plan() -> dict[str, str]:
        with Runner(Path("runs/toy"), seed=0, planning=True) as run:
            run_all(run, config)
            return {" ".join(map(str, (*step.scope, step.stage))): step.artifact.key for step in run.steps}

    first = plan()
    assert not list(tmp_path.glob("*.db"))  # looking makes no store
    project = f"samples-{first['round 1 sample'][:12]}"
    prompt = Prompt.of("Why?")
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in ("a", "b"))
    with Store.open(config.store.url) as store:
        store.add_tasks([Task(id="t0", prompt=prompt, completions=answers, project=project)], now=0)
    _judge(config.store, "anna", "t0")
    with Store.open(config.store.url) as store:
        store.snapshot(project, Queue(project), now=2)
    assert plan() == first
    with Store.open(config.store.url) as store:
        store.erase_rater("anna", now=3)
    changed = {name for name, key in plan().items() if key != first[name]}
    untouched = {"round 1 sample", *(name for name in first if not name.startswith(("round", "final")))}
    assert set(first) - changed == untouched


def test_an_evaluation_is_made_again_without_the_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = _store()
    with Runner(Path("runs/toy"), seed=0, logs=QUIET) as run:
        new, old = run(sample, Nothing()), run(sample, Nothing(), extra={"x": "y"})
        project = evaluation_project(new.name, old.name)
        queue = Queue(project, "evaluation")
        assert erased_judgments(store, queue) == {}
        evaluation = run(compare, Nothing(), policy=new, baseline=old)
        prompt = Prompt.of("Why?")
        answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in ("a", "b"))
        with Store.open(store.url) as opened:
            task = Task(id="t0", prompt=prompt, completions=answers, project=project, purpose="evaluation")
            opened.add_tasks([task], now=0)
        _judge(store, "anna", "t0")
        assert erased_judgments(store, queue) == {}
        with Store.open(store.url) as opened:
            queues = opened.listing.queues_of("anna")
            assert queues == [queue]
            assert [one.artifact.key for one in touched(Path("runs"), "anna", queues)] == [evaluation.key]
            opened.erase_rater("anna", now=1)
        assert list(erased_judgments(store, queue)) == ["erased"]
        assert erased_snapshots(store, queue) == {}
