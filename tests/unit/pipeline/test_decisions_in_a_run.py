"""A whole run in which decisions of adjudicators stand for judgments: what is learned, and what the evaluation says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.jsonl import read_records
from assent.core.errors import AwaitingJudgments
from assent.core.types import Comparison, Judgment, Ranking, Rater, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.run import run_project

TASKS = "tasks whose judgments give way to an adjudicator's decision"
JUDGMENTS = "judgments for which such a decision stands"
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


def run(*settings: str) -> dict[str, Any]:
    list(run_project(Path("assent.yaml"), (), settings, quiet=True))
    return dict(json.loads(Path("runs/toy/result.json").read_text(encoding="utf-8")))


def waits(*settings: str) -> Queue:
    """Where a run waits for people."""
    with pytest.raises(AwaitingJudgments) as waiting:
        run(*settings)
    return Queue(*waiting.value.queue)


def judge(queue: Queue, *, tiers: Callable[[list[str]], tuple[tuple[str, ...], ...]]) -> dict[str, list[Task]]:
    """Anna and Ben rank the answers of every task like this; the tasks by prompt."""
    found: dict[str, list[Task]] = {}
    with Store.open(STORE) as store:
        for name in ("anna", "ben", "chief"):
            store.register_rater(Rater(id=name, kind="person"), now=0)
        for task in store.tasks(set(store.task_ids(queue))).values():
            found.setdefault(task.prompt.text, []).append(task)
            ranking = Ranking(tiers=tiers(ids_of(task)))
            for name in ("anna", "ben"):
                said = Judgment(id=f"{name}-{task.id}", task_id=task.id, rater_id=name, ranking=ranking)
                store.submit(said, now=1)
    return found


def ids_of(task: Task) -> list[str]:
    return sorted(answer.id for answer in task.completions)


def decide(*tasks: Task) -> None:
    """The chief likes the answer whose id comes last."""
    with Store.open(STORE) as store:
        for task in tasks:
            first, last = ids_of(task)
            store.projects.adjudicate(task.id, "chief", Ranking(tiers=((last,), (first,))), "so it is", now=2)


def test_decisions_stand_in_training_and_evaluation_of_a_whole_run() -> None:
    tasks = judge(waits("decisions=stand"), tiers=lambda ids: tuple((one,) for one in ids))
    (decided,), _ = tasks.values()
    decide(decided)
    shown = judge(waits("decisions=stand"), tiers=lambda ids: (tuple(ids),))
    before = run("decisions=stand")
    [held] = Path("runs/artifacts").glob("judgments-*/comparisons.jsonl")
    said = {j.task_id: j for c in read_records(held, Comparison) for j in c.judgments if j.rater_id == "chief"}
    assert said[decided.id].ranking == Ranking(tiers=tuple((one,) for one in reversed(ids_of(decided))))
    assert before["not_as_given"]["round 1 collect"] == {TASKS: 1, JUDGMENTS: 2}
    assert "round 1 evaluate" not in before["not_as_given"]
    [policy] = [one["policy"] for one in before["rounds"]]
    assert (policy["win_rate"]["estimate"], policy["ties"], policy["raters"]) == (0.5, 1.0, 2)

    assert [len(both) for both in shown.values()] == [2, 2], "each pair in both orders"
    decide(*next(iter(shown.values())))
    after = run("decisions=stand")
    assert after["not_as_given"]["round 1 evaluate"] == {TASKS: 2, JUDGMENTS: 4}
    # Four ties of the pair that is left, and two decisions for one side of the other.
    [policy] = [one["policy"] for one in after["rounds"]]
    assert policy["ties"] == pytest.approx(4 / 6) and policy["raters"] == 3
    assert min(abs(policy["win_rate"]["estimate"] - share) for share in (2 / 6, 4 / 6)) < 1e-9
    made = {one: name for one, name in after["rounds"][0]["artifacts"].items() if one != "evaluate"}
    assert made.items() <= before["rounds"][0]["artifacts"].items(), "nothing but the evaluation is made again"
