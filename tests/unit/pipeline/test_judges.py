"""Judgments count for a round only if the raters that the config names gave them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.errors import AwaitingJudgments, FunctionError, StoreError
from assent.core.types import Comparison, Completion, Judgment, Ranking, Rater, Task
from assent.feedback.config import StoreConfig
from assent.feedback.records.judges import PEOPLE
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.lab.world import World
from assent.models.config import ModelConfig
from assent.pipeline.config import CollectConfig, ComputeConfig, LabData
from assent.pipeline.judges import judges_of
from assent.pipeline.stages.declared import run_collect
from assent.pipeline.stages.settings import CollectStage
from assent.raters.config import SimulatedConfig
from assent.service.intake import take_in

TASKS = 98
LONGEST = "def score(prompts, completions): return [float(len(c)) for c in completions]\n"
SHORTEST = "def score(prompts, completions): return [-float(len(c)) for c in completions]\n"
BROKEN = "def score(prompts, completions): raise RuntimeError('no connection')\n"
FUNCTION = {"kind": "function", "target": "own_judges:score"}


class Nothing(Config):
    """No settings."""


@stage(name="sample", version=1, kind="samples")
def sample(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    prompts = World(0).prompts("ppo", TASKS)
    tasks = [
        Task(
            id=f"t{n:02}",
            prompt=prompt,
            completions=tuple(Completion(prompt_id=prompt.id, text=t, id=f"{n}{t}") for t in ("no", "certainly")),
        )
        for n, prompt in enumerate(prompts)
    ]
    write_records(ctx.output / "tasks.jsonl", tasks)
    return {}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # before the folders of earlier tests
    yield tmp_path
    sys.modules.pop("own_judges", None)


def write_judges(source: str) -> None:
    """The user's module, as a new process sees it."""
    Path("own_judges.py").write_text(source)
    sys.modules.pop("own_judges", None)
    importlib.invalidate_caches()
    for compiled in Path().glob("__pycache__/own_judges*"):
        compiled.unlink()


STORE = StoreConfig(url="sqlite:///feedback.db")


def collect(raters: dict[str, Any], **more: Any) -> tuple[Artifact, Artifact]:
    """The samples and what these raters say of them."""
    config = CollectStage(
        collect=CollectConfig.parse({"raters": raters, "overlap_share": 0.0, **more}),
        lab=LabData(),
        people_seed=0,
        model=ModelConfig(),
        store=STORE,
        compute=ComputeConfig(),
        title="Which is better?",
    )
    with Runner(Path("runs/toy"), seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        samples = run(sample, Nothing())
        return samples, run(run_collect, config, samples=samples)


def said(judgments: Artifact) -> dict[str, Judgment]:
    """The one judgment of each task, by its prompt."""
    found = read_records(judgments.file("comparisons.jsonl"), Comparison)
    assert all(len(one.judgments) == 1 for one in found)
    return {one.prompt.id: one.judgments[0] for one in found}


def best(judgments: Artifact) -> set[str]:
    """What the texts are that somebody placed first."""
    return {j.ranking.tiers[0][0].lstrip("0123456789") for j in said(judgments).values() if j.ranking is not None}


def as_shown(task: Task, rater: str) -> Judgment:
    """A judgment that ranks the answers in their order."""
    ranking = Ranking(tiers=tuple((c.id,) for c in task.completions))
    return Judgment(id=task.id, task_id=task.id, rater_id=rater, ranking=ranking)


def raters_of(judgments: Artifact) -> set[str]:
    return {judgment.rater_id for judgment in said(judgments).values()}


def test_a_function_after_simulated_people_judges_all_of_it_itself() -> None:
    samples, first = collect({"kind": "simulated"})
    write_judges(LONGEST)
    _, second = collect(FUNCTION)
    assert raters_of(second) == {"function:own_judges:score"}
    assert len(said(second)) == second.notes["new_judgments"] == TASKS
    assert first.notes["project"] == samples.name != second.notes["project"]


def test_inverted_people_say_the_opposite_and_the_first_ones_keep_their_project() -> None:
    plain = {"kind": "simulated", "slip": 0.0, "careless_share": 0.0, "tie_threshold": 0.0, "sharpness": 50.0}
    samples, first = collect(plain)
    _, second = collect({**plain, "inverted_share": 1.0})
    assert first.notes["project"] == samples.name
    assert {j.task_id for j in said(first).values()} == {f"t{n:02}" for n in range(TASKS)}
    assert len(said(second)) == TASKS and not {j.id for j in said(first).values()} & {
        j.id for j in said(second).values()
    }
    assert [one.key for one in collect(plain)] == [samples.key, first.key]


@pytest.mark.parametrize("kind", ["another target", "the same target, mended"])
def test_a_judge_that_failed_leaves_nothing_to_the_one_after_it(kind: str) -> None:
    write_judges(BROKEN + LONGEST.replace("score", "other"))
    with pytest.raises(FunctionError, match="no connection"):
        collect(FUNCTION)
    after = {**FUNCTION, "target": "own_judges:other"}
    if kind != "another target":
        write_judges(LONGEST)
        after = FUNCTION
    _, judgments = collect(after)
    assert judgments.notes["new_judgments"] == len(said(judgments)) == TASKS
    assert best(judgments) == {"certainly"}


def test_a_judge_that_fails_in_the_middle_keeps_what_it_said_and_holds_nothing() -> None:
    write_judges("CALLS = []\n" + LONGEST.replace("return", "CALLS.append(1); assert len(CALLS) < 2; return"))
    with pytest.raises(FunctionError, match="AssertionError"):
        collect(FUNCTION)
    [samples] = Path("runs/toy/artifacts").glob("samples-*")
    with Store.open(STORE.url) as store:
        queue = Queue(samples.name)
        assert store.counts(queue).have == 64
        store.register_rater(Rater(id="anna", kind="person"), now=0)
        assert len(store.claim("anna", queue, limit=TASKS, now=1)) == TASKS - 64


def test_the_same_function_with_another_source_judges_anew() -> None:
    write_judges(LONGEST)
    _, first = collect(FUNCTION)
    write_judges(SHORTEST)
    _, second = collect(FUNCTION)
    assert best(first) == {"certainly"} and best(second) == {"no"}
    assert len(said(second)) == TASKS


def test_the_same_judges_go_on_where_they_were_also_in_a_store_that_knows_no_judges() -> None:
    write_judges(LONGEST)
    samples, first = collect(FUNCTION)
    (first.folder / "manifest.json").unlink()
    with Store.open(STORE.url) as store, store._engine.begin() as connection:
        connection.execute(text("DELETE FROM judges"))
    write_judges(LONGEST)
    _, again = collect(FUNCTION)
    assert again.key == first.key and again.notes["project"] == samples.name
    assert again.notes["snapshot"] == first.notes["snapshot"] and said(again) == said(first)


def test_people_after_simulated_people_are_asked_all_of_it_and_the_other_way_round() -> None:
    people = {"kind": "people"}
    samples, _ = collect({"kind": "simulated"})
    with pytest.raises(AwaitingJudgments) as waiting:
        collect(people)
    assert (waiting.value.have, waiting.value.need) == (0, TASKS)
    project = waiting.value.queue[0]
    assert project != samples.name
    with Store.open(STORE.url) as store:
        assert store.projects.get(project).settings.title == "Which is better?"
        assert take_in(store, str(samples.folder), project=None, now=0).project == project
        store.register_rater(Rater(id="anna", kind="person"), now=0)
        for claim in store.claim("anna", Queue(project), limit=TASKS, now=1):
            store.submit(as_shown(claim.task, "anna"), token=claim.token, now=2)
    _, judgments = collect(people)
    assert raters_of(judgments) == {"anna"} and len(said(judgments)) == TASKS
    _, simulated = collect({"kind": "simulated", "number": 3})
    assert "anna" not in raters_of(simulated) and len(said(simulated)) == TASKS


def test_a_project_that_people_judged_before_is_theirs() -> None:
    with Store.open(STORE.url) as store:
        prompt = World(0).prompts("ppo", 1)[0]
        answers = tuple(Completion(prompt_id=prompt.id, text=t, id=t) for t in "ab")
        store.add_tasks([Task(id="x", prompt=prompt, completions=answers, project="p")], now=0)
        store.register_rater(Rater(id="anna", kind="person"), now=0)
        store.submit(Judgment(id="j", task_id="x", rater_id="anna", ranking=Ranking(tiers=(("a",), ("b",)))), now=1)
        simulated = judges_of(SimulatedConfig(), role="train", seed=0)
        assert store.queue_of(Queue("p"), PEOPLE) == Queue("p") != store.queue_of(Queue("p"), simulated)
        taken = store.take_queue(Queue("p"), simulated, now=2)
        assert taken == store.queue_of(Queue("p"), simulated) != store.queue_of(Queue("p", "evaluation"), simulated)


def test_more_overlap_later_is_judged_and_none_of_it_left_out() -> None:
    collect({"kind": "simulated"})
    _, judgments = collect({"kind": "simulated"}, overlap_share=1.0, overlap=2)
    assert judgments.notes["new_judgments"] == 2 * TASKS


def test_fewer_judgments_than_asked_for_are_an_error_with_numbers() -> None:
    write_judges(BROKEN)
    with pytest.raises(FunctionError):
        collect(FUNCTION)
    [samples] = Path("runs/toy/artifacts").glob("samples-*")
    with Store.open(STORE.url) as store:
        store.register_rater(Rater(id="anna", kind="person"), now=0)
        for claim in store.claim("anna", Queue(samples.name), limit=3, now=1):
            ranking = Ranking(tiers=tuple((c.id,) for c in claim.task.completions))
            store.submit(
                Judgment(id=claim.task.id, task_id=claim.task.id, rater_id="anna", ranking=ranking),
                token=claim.token,
                now=2,
            )
    sys.modules["own_judges"].score = lambda prompts, completions: [0.0 for _ in completions]  # type: ignore[attr-defined]
    with pytest.raises(
        StoreError, match=f"{TASKS - 3} of {TASKS} judgments .* 3 are missing; others judged there: anna"
    ):
        collect(FUNCTION)


def test_what_a_rater_tells_later_makes_the_judgments_anew_once_and_then_they_are_found() -> None:
    people = {"kind": "people", "enough": 0.01}
    with pytest.raises(AwaitingJudgments) as waiting:
        collect(people)
    with Store.open(STORE.url) as store:
        store.register_rater(Rater(id="anna", kind="person", attributes={"age": "30"}), consent="1", now=0)
        [claim] = store.claim("anna", Queue(waiting.value.queue[0]), limit=1, now=1)
        ranking = Ranking(tiers=tuple((c.id,) for c in claim.task.completions))
        store.submit(
            Judgment(id=claim.task.id, task_id=claim.task.id, rater_id="anna", ranking=ranking),
            token=claim.token,
            now=2,
        )
    _, first = collect(people)
    assert collect(people)[1].key == first.key and first.manifest.extra == {}
    with Store.open(STORE.url) as store:
        store.register_rater(Rater(id="ben", kind="person", attributes={"age": "60"}), consent="1", now=3)
        assert collect(people)[1].key == first.key, "ben judged nothing here"
        store.register_rater(Rater(id="anna", kind="person", attributes={"age": "31"}), consent="1", now=4)
    _, second = collect(people)
    assert second.key != first.key and list(second.manifest.extra) == ["raters"]
    [anna] = read_records(second.file("raters.jsonl"), Rater)
    assert anna.attributes == {"age": "31"}
    assert collect(people)[1].key == second.key
