"""Judgments that come in after a run went on: said, learned from by a further round, or taken in at once when asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from assent.artifacts.find import find_artifact
from assent.artifacts.jsonl import read_records
from assent.artifacts.store import Artifact
from assent.core.errors import AwaitingJudgments
from assent.core.types import Comparison, Judgment, Ranking, Rater
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.run import run_project

STORE = "sqlite:///feedback.db"
SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "dogs", "shirts")
QUESTIONS = [f"What should {who} know about {what}?" for what in SUBJECTS for who in ("I", "children", "a cook")]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    rows = ({"prompt": question, "chosen": "Much.", "rejected": "Nothing."} for question in QUESTIONS)
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}]},
        "collect": {"raters": {"kind": "people"}, "overlap_share": 1.0, "overlap": 2},
        "sample": {"prompts": 2, "answers": 2, "sampling": {"max_new_tokens": 6}},
        "optimize": {"kind": "dpo", "batch_size": 8, "optimizer": {"learning_rate": 0.01}},
        "evaluate": {"prompts": 2, "sampling": {"max_new_tokens": 6}, "raters_per_pair": 2},
        "reward": None,
        "store": {"url": STORE},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def run(*settings: str, late: bool = False) -> list[str]:
    return list(run_project(Path("assent.yaml"), (), settings, quiet=True, late=late))


def waits(*settings: str, late: bool = False) -> Queue:
    with pytest.raises(AwaitingJudgments) as waiting:
        run(*settings, late=late)
    project, purpose = waiting.value.queue
    return Queue(project, "evaluation" if purpose == "evaluation" else "reward")


def judge(queue: Queue, rater: str) -> None:
    with Store.open(STORE) as store:
        store.register_rater(Rater(id=rater, kind="person"), now=0)
        for task in store.tasks(store.task_ids(queue)).values():
            ranking = Ranking(tiers=tuple((one,) for one in sorted(answer.id for answer in task.completions)))
            store.submit(Judgment(id=f"{rater}-{task.id}", task_id=task.id, rater_id=rater, ranking=ranking), now=1)


def raters(judgments: Artifact, tasks: list[str]) -> set[str]:
    """Who is learned from, of those who judged these tasks."""
    comparisons = read_records(judgments.file("comparisons.jsonl"), Comparison)
    return {j.rater_id for one in comparisons for j in one.judgments if j.task_id in tasks}


def said_late(lines: list[str]) -> list[str]:
    return [line.partition(";")[0] for line in lines if "came in after" in line]


def collected(number: int) -> Artifact:
    return find_artifact(f"runs/toy/round-{number}/collect")


@pytest.mark.slow
def test_what_came_late_is_said_and_counts_in_a_further_round_or_at_once_when_asked() -> None:
    first = waits()
    judge(first, "anna")
    with pytest.raises(AwaitingJudgments, match=r"it waits for ben \(2 tasks; has no account yet\); start"):
        run('collect.raters.wait_for=["ben"]')
    with Store.open(STORE) as store:
        tasks = store.task_ids(first)
    evaluation = waits()
    judge(evaluation, "anna")
    assert said_late(run()) == []
    alone = collected(1)
    assert raters(alone, tasks) == {"anna"}

    judge(first, "ben")
    judge(evaluation, "ben")
    with Store.open(STORE) as store:
        verdicts = len(store.task_ids(evaluation))
    assert said_late(run()) == [
        "2 judgments of 1 person came in after round 1 had gone on",
        f"{verdicts} judgments of 1 person came in after the evaluation of round 1 had gone on",
    ]
    assert collected(1).key == alone.key, "saying it changes nothing"

    judge(waits("rounds=2"), "anna")
    waits("rounds=2")
    assert raters(collected(2), tasks) == {"anna", "ben"} and collected(2).notes["late"] == 2
    assert collected(1).key == alone.key

    judge(waits(late=True), "anna")  # at once; the policy is made anew, so it is compared anew
    again = collected(1)
    assert again.key != alone.key and raters(again, tasks) == {"anna", "ben"}
    assert said_late(run()) == [], "they count from now on, also without --late"
    assert collected(1).key == again.key

    with Store.open(STORE) as store:
        store.erase_rater("ben", now=2)
    judge(waits(), "anna")
    assert raters(collected(1), tasks) == {"anna"}
