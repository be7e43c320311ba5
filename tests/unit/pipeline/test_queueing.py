"""The queue that people are given: like the project before, and with what teaches most first."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from assent.artifacts.find import find_artifact
from assent.core.errors import AwaitingJudgments
from assent.core.types import Judgment, Ranking, Rater, Task
from assent.feedback.queue.priorities import priorities
from assent.feedback.records.queue import NewProject, Queue
from assent.feedback.records.settings import Criterion, ProjectSettings
from assent.feedback.store import Store
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.pipeline.queueing import predicted
from assent.pipeline.run import run_project

TINY = {
    "rounds": 2,
    "base": {"kind": "scratch", "vocab_size": 400, "shape": {"hidden": 16, "layers": 1, "heads": 1, "context": 160}},
    "data": {"kind": "lab", "corpus": 20, "demonstrations": 20, "prompts": 60},
    "sft": None,
    "sample": {"prompts": 24, "answers": 3, "sampling": {"max_new_tokens": 4, "top_p": 0.5}},
    "collect": {"raters": {"kind": "people"}, "overlap_share": 0},
    "optimize": {
        "kind": "ppo",
        "steps": 1,
        "critic_warmup": 0,
        "prompts_per_step": 2,
        "sampling": {"max_new_tokens": 4},
    },
    "evaluate": {"prompts": 2, "raters_per_pair": 1, "sampling": {"max_new_tokens": 4}},
    "compute": {"threads": 1},
}


def test_a_new_project_of_a_run_is_like_the_first_that_is_there(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/s.db") as store:
        store.projects.save("old", ProjectSettings(title="Old", overlap=2, is_open=False), now=1.0)
        store.projects.publish_guideline("old", "first", now=1.0)
        store.projects.publish_guideline("old", "second", now=2.0)
        only_here = store.accounts.create("ann", "rater", projects=("old",), now=1.0)
        elsewhere = store.accounts.create("ben", "rater", projects=("other",), now=1.0)
        made = store.projects.carry_on("new", NewProject("New", "near_ties", ("missing", "old")), now=3.0)
        assert (made.title, made.overlap, made.goal, made.is_open) == ("New", 2, "near_ties", True)
        project = store.projects.get("new")
        assert project.settings == made
        assert project.guideline is not None and (project.guideline.version, project.guideline.text) == (1, "second")
        assert store.accounts.get(only_here.rater_id).projects == ("new", "old")
        assert store.accounts.get(elsewhere.rater_id).projects == ("other",)

        changed = made.model_copy(update={"overlap": 5})
        store.projects.save("new", changed, now=4.0)
        assert store.projects.carry_on("new", NewProject("", like=("old",)), now=5.0) == changed
        assert store.projects.carry_on("alone", NewProject("", like=("missing",)), now=5.0) == ProjectSettings()


@pytest.mark.slow
def test_the_second_round_of_people_keeps_their_project_and_asks_near_ties_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(yaml.safe_dump({"name": "toy", **TINY}))
    criterion = Criterion(name="kind", question="How kind?", anchors=("not", "very"))
    asked: list[Queue] = []
    served: list[list[Task]] = []

    def rate(waiting: AwaitingJudgments) -> None:
        project, purpose = waiting.queue
        queue = Queue(project, "evaluation" if purpose == "evaluation" else "reward")
        asked.append(queue)
        with Store.open("sqlite:///feedback.db") as store:
            if len(asked) == 1:
                settings = store.projects.get(project).settings
                assert (settings.title, settings.goal) == ("toy, round 1, rankings", "random")
                changes = {"criteria": (criterion,), "random_share": 0.0, "gold_share": 0.0, "repeat_share": 0.0}
                store.projects.save(project, settings.model_copy(update=changes), now=1.0)
                store.projects.publish_guideline(project, "Be fair.", now=1.0)
            served.append(judge_all(store, queue))

    list(run_project(Path("toy.yaml"), quiet=True, wait=rate))
    rounds = [queue for queue in asked if queue.purpose == "reward"]
    assert len(rounds) == 2 and len(asked) == 5
    with Store.open("sqlite:///feedback.db") as store:
        for queue in asked[1:]:
            project = store.projects.get(queue.project)
            assert project.settings.criteria == (criterion,)
            assert project.guideline is not None and project.guideline.text == "Be fair."
        assert store.projects.get(rounds[1].project).settings.goal == "near_ties"
        assert store.projects.get(asked[1].project).settings.goal == "random"
    tasks = served[asked.index(rounds[1])]
    wanted = priorities(
        predicted(Backends(ModelConfig(), ComputeConfig()), find_artifact("runs/toy/round-1/reward"), tasks),
        "near_ties",
    )
    assert [t.id for t in tasks] == sorted(wanted, key=lambda i: -wanted[i]) != [t.id for t in sorted(tasks, key=by_id)]


def by_id(task: Task) -> str:
    return task.id


def judge_all(store: Store, queue: Queue) -> list[Task]:
    """One rater puts every answer in the order it is given; the tasks in the order they came."""
    now, tasks = time.time(), []
    store.register_rater(Rater(id="ann", kind="person"), now=now)
    while served := store.serve("ann", queue, limit=1, now=now):
        tasks.append(served[0].task)
        ranking = Ranking(tiers=tuple((c.id,) for c in served[0].task.completions))
        said = Judgment(
            id=f"ann-{served[0].task.id}",
            task_id=served[0].task.id,
            rater_id="ann",
            ranking=ranking,
            order_shown=served[0].order,
        )
        store.submit(said, token=served[0].token, now=now)
    return tasks
