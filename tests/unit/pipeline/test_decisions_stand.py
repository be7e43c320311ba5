"""A run can let decisions of adjudicators stand for judgments: what is learned, what is said, and which keys change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assent.artifacts.identity import resolved
from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.errors import AwaitingJudgments
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.data.config import Source
from assent.data.exports import export
from assent.data.load import load_comparisons
from assent.feedback.config import StoreConfig
from assent.feedback.exporting import gather
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.config import ModelConfig
from assent.pipeline.config import CollectConfig, ComputeConfig, RunConfig
from assent.pipeline.decisions import stand_in, stand_in_of
from assent.pipeline.result import not_as_given
from assent.pipeline.rounds import judgments_identity
from assent.pipeline.stages.declared import run_collect
from assent.pipeline.stages.settings import CollectStage

QUIET = LogOptions(quiet=True, tensorboard=False)
LAB = {"base": {"kind": "scratch"}, "data": {"kind": "lab"}, "collect": {"raters": {"kind": "people"}}}
AB, BA = Ranking(tiers=(("a",), ("b",))), Ranking(tiers=(("b",), ("a",)))


class Nothing(Config):
    """A stage without settings."""


@stage(name="sample", version=1, kind="samples")
def sample(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    """Three tasks of two answers."""
    write_records(ctx.output / "tasks.jsonl", [_task(n) for n in range(3)])
    return {}


def _task(number: int) -> Task:
    prompt = Prompt.of(f"Why {number}?")
    answers = tuple(Completion(prompt_id=prompt.id, id=i, text=f"{i} to {number}") for i in "ab")
    return Task(id=f"t{number}", prompt=prompt, completions=answers)


def _fill(store: Store, project: str) -> None:
    """Anna and Ben disagree on t0 and agree on t1 and t2."""
    for name, kind in (("anna", "person"), ("ben", "person"), ("chief", "person")):
        store.register_rater(Rater(id=name, kind=kind), now=0)  # type: ignore[arg-type]
    for number in range(3):
        task = _task(number).model_copy(update={"project": project})
        store.add_tasks([task], slots=2, now=0)
        for name in ("anna", "ben"):
            order = BA if (name, number) == ("ben", 0) else AB
            store.submit(Judgment(id=f"{name}-{number}", task_id=task.id, rater_id=name, ranking=order), now=1)


def _orders(comparisons: list[Comparison]) -> dict[str, list[tuple[str, str]]]:
    said = (
        (c.prompt.text, [(j.rater_id, j.ranking.sentence()) for j in c.judgments if j.ranking]) for c in comparisons
    )
    return dict(said)


def test_a_decision_in_a_file_stands_for_the_judgments_of_its_task(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/one.db") as store:
        _fill(store, "default")
        store.projects.adjudicate("t0", "chief", AB, "first thought", now=2)
        store.projects.adjudicate("t0", "chief", BA, "b is right", now=3)
        store.projects.adjudicate("t1", "chief", BA, "no, b", now=4)
        store.projects.adjudicate("t1", "chief", None, "nobody can say", now=5)
        export(gather(store, Queue()), "assent", tmp_path / "x.jsonl")
    given, _ = load_comparisons([Source(path=tmp_path / "x.jsonl")])
    stood = stand_in(given, [])
    assert _orders(stood.comparisons) == {
        "Why 0?": [("chief", "b > a")],  # the last one counts
        "Why 1?": [("anna", "a > b"), ("ben", "a > b")],  # decided to have no answer
        "Why 2?": [("anna", "a > b"), ("ben", "a > b")],
    }
    assert stood.facts() == {"decided": 1, "stood_for": 2}
    twice = stand_in([*given, *given], [])
    assert [c.prompt.text for c in twice.comparisons].count("Why 0?") == 1 and twice.replaced == 4


def test_decisions_about_evaluation_tasks_stand_likewise(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/one.db") as store:
        _fill(store, "default")
        store.projects.adjudicate("t0", "chief", BA, "", now=2)
        said, facts = stand_in_of(store.judgments(Queue()), store.projects.adjudications("default"))
    assert sorted((j.task_id, j.rater_id) for j in said) == [
        *(("t0", "chief"),),
        *((f"t{n}", name) for n in (1, 2) for name in ("anna", "ben")),
    ]
    assert facts == {"decided": 1, "stood_for": 2}


def _collect(store: StoreConfig, decisions: str) -> Artifact:
    people = CollectConfig.parse({"raters": {"kind": "people"}, "overlap_share": 1.0, "overlap": 2})
    stage = {"collect": people, "lab": None, "people_seed": 0, "model": ModelConfig(), "store": store}
    config = CollectStage(**stage, compute=ComputeConfig(), decisions=decisions)  # type: ignore[arg-type]
    whole = RunConfig.parse({**LAB, "decisions": decisions}).model_copy(update={"store": store})
    with Runner(Path("runs/toy"), seed=0, logs=QUIET) as run:
        samples = run(sample, Nothing())
        extra = judgments_identity(whole, samples, is_first=True)
        return run(run_collect, config, extra=extra, samples=samples)


def test_a_run_learns_the_decisions_and_its_key_hangs_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = StoreConfig(url=f"sqlite:///{tmp_path}/feedback.db")
    with pytest.raises(AwaitingJudgments) as waiting:
        _collect(store, "ignore")
    project = waiting.value.queue[0]
    with Store.open(store.url) as opened:
        _fill(opened, project)
    plain = _collect(store, "ignore")
    assert "decisions" not in resolved(CollectStage.of(RunConfig.parse(LAB), 1, like=())), "no other key has changed"
    none_yet = _collect(store, "stand")
    assert none_yet.key != plain.key and none_yet.notes["decided"] == 0
    with Store.open(store.url) as opened:
        opened.projects.adjudicate("t0", "chief", BA, "so it is", now=5)
    assert _collect(store, "ignore").key == plain.key, "decisions that are ignored change nothing"
    stood = _collect(store, "stand")
    assert stood.key not in (plain.key, none_yet.key)
    found = _orders(read_records(stood.file("comparisons.jsonl"), Comparison))
    assert found["Why 0?"] == [("chief", "b > a")] and found["Why 2?"] == [("anna", "a > b"), ("ben", "a > b")]
    assert (stood.notes["judgments"], stood.notes["new_judgments"], plain.notes["judgments"]) == (5, 6, 6)
    assert not_as_given({"round 1 collect": stood}) == {
        "round 1 collect": {
            "tasks whose judgments give way to an adjudicator's decision": 1,
            "judgments for which such a decision stands": 2,
        }
    }
    with Store.open(store.url) as opened:
        opened.projects.adjudicate("t0", "chief", AB, "or not", now=6)
    last = _collect(store, "stand")
    assert last.key != stood.key
    assert _orders(read_records(last.file("comparisons.jsonl"), Comparison))["Why 0?"] == [("chief", "a > b")]
