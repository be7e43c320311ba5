"""Labels of an AI beside people's: they wait for nobody, are measured first, and weigh what was stated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.errors import AwaitingJudgments, ConfigError, RunError
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.lab import World, read, utility
from assent.models.config import ModelConfig
from assent.pipeline.ai_labels import by_people, is_ai, weighed, weights_in
from assent.pipeline.config import CollectConfig, ComputeConfig, LabData, RunConfig
from assent.pipeline.doctor.constitution import check_constitution
from assent.pipeline.stages.declared import run_collect
from assent.pipeline.stages.settings import CollectStage
from assent.training.targets import target_of

STORE = StoreConfig(url="sqlite:///feedback.db")
QUIET = LogOptions(quiet=True, tensorboard=False)
HERE = "test_ai_labels"
CROWD = {"kind": "simulated", "number": 6, "sharpness": 3.0}


def knows(principle: str, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """The truth by two principles, nothing by the others."""
    blind = principle.startswith("no_")
    return [0.0 if blind else utility(read(p, a)) for p, a in zip(prompts, answers, strict=True)]


def wrong(principle: str, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """The opposite."""
    return [-utility(read(p, a)) for p, a in zip(prompts, answers, strict=True)]


class Nothing(Config):
    """No settings."""


@stage(name="sample", version=1, kind="samples")
def sample(ctx: StageContext, config: Nothing) -> dict[str, Any]:
    world, tasks = World(0), []
    for n, prompt in enumerate(world.prompts("ppo", 40)):
        texts = {world.reply(prompt, index).text for index in range(3)}
        answers = [Completion(prompt_id=prompt.id, text=t, id=f"{n}-{k}") for k, t in enumerate(sorted(texts))]
        tasks.append(Task(id=f"t{n:02}", prompt=prompt, completions=tuple(answers)))
    write_records(ctx.output / "tasks.jsonl", tasks)
    return {}


def settings(target: str = "knows", **ai: Any) -> dict[str, Any]:
    judge = {"kind": "constitution", "constitution": "lab", "ask": "all"}
    judge |= {"backend": {"kind": "python", "target": f"{HERE}:{target}"}} | ai.pop("raters", {})
    return {"raters": judge, "people_share": 0.5, "weight": 0.25, **ai}


def collect(ai: dict[str, Any] | None, people: dict[str, Any] = CROWD) -> Artifact:
    config = CollectStage(
        collect=CollectConfig.parse({"raters": people, "overlap_share": 0.0, "ai": ai}),
        lab=LabData(),
        people_seed=0,
        model=ModelConfig(),
        store=STORE,
        compute=ComputeConfig(),
    )
    with Runner(Path("runs/toy"), seed=0, logs=QUIET) as run:
        return run(run_collect, config, samples=run(sample, Nothing()))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def learned(judgments: Artifact) -> list[Comparison]:
    return read_records(judgments.file("comparisons.jsonl"), Comparison)


def test_people_judge_their_share_the_ai_all_and_both_are_learned_from_with_weights() -> None:
    judgments = collect(settings())
    found = learned(judgments)
    said = [j for one in found for j in one.judgments]
    people, ai = [j for j in said if not is_ai(j)], [j for j in said if is_ai(j)]
    assert len(people) == 20 and 32 <= len(ai) <= 40 and {j.rater_id for j in ai} == set(weights_in(judgments))
    notes = judgments.notes["ai"]
    assert notes["judgments"] == len(ai) and notes["judgments"] + notes["silent"] == 40
    agreed = notes["agreement"]["whole"]["with_votes"]
    assert agreed["low"] > 0.6 and agreed["n"] > 25
    [both] = [one for one in found if len(one.judgments) == 2][:1]
    target = target_of(both)
    assert target is not None
    # A ranking of K weighs K - 1; the AI's counts a quarter.
    size = len(both.completions) - 1
    assert target.weighted(weights_in(judgments)).weight == pytest.approx(1.25 * size)
    with Store.open(STORE.url) as store:
        queue = Queue(judgments.notes["project"])
        counts, open_tasks = store.counts(queue), store.open_tasks(queue)
        assert counts.have == counts.need and not open_tasks, "an AI's judgment leaves no slot that waits"
    assert collect(settings()).key == judgments.key


def test_other_labels_of_an_ai_and_none_are_told_apart_in_the_same_project() -> None:
    first, other = collect(settings()), collect(settings(raters={"principles": ["help"]}))
    without = collect(None)
    projects = {one.notes["project"] for one in (first, other, without)}
    assert len(projects) == 1, "nobody is asked again because the AI changed"
    ids = [{j.rater_id for one in learned(made) for j in one.judgments if is_ai(j)} for made in (first, other, without)]
    assert ids[0] and ids[1] and not ids[0] & ids[1] and not ids[2] and not weights_in(without)
    votes = [sorted(j.id for one in learned(m) for j in one.judgments if not is_ai(j)) for m in (first, other)]
    assert votes[0] == votes[1]


def test_an_ai_that_does_not_agree_is_refused_with_the_number_and_people_keep_what_they_said() -> None:
    with pytest.raises(RunError, match=r"on 0\.\d+ \[0\.\d+, 0\.\d+\] of \d+ pairs.*must lie above 0\.55.*not used"):
        collect(settings("wrong"))
    assert len([j for one in learned(collect(None)) for j in one.judgments]) == 40


def test_without_overlap_it_is_refused_unless_that_is_allowed_in_words() -> None:
    few = settings(people_share=0.001)  # one task of people: no interval
    with pytest.raises(RunError, match="too few to measure agreement, so they are not used"):
        collect(few)
    judgments = collect(few | {"without_overlap": "use_unmeasured"})
    assert judgments.notes["ai"]["agreement"]["whole"]["with_votes"] is None and weights_in(judgments)


def test_people_are_waited_for_first_and_the_ai_takes_no_task_from_them() -> None:
    with pytest.raises(AwaitingJudgments) as waiting:
        collect(settings(), {"kind": "people"})
    assert (waiting.value.have, waiting.value.need) == (0, 20)
    with Store.open(STORE.url) as store:
        queue = Queue(waiting.value.queue[0])
        assert not store.judgments(queue), "the AI is asked once people are done"
        store.register_rater(Rater(id="anna", kind="person"), now=0)
        claims = store.claim("anna", queue, limit=40, now=1)
        assert len(claims) == 20
        said = [(by_truth(claim.task), claim.token) for claim in claims]
        store.submit_all(said, now=2)
    judgments = collect(settings(), {"kind": "people"})
    found = [j for one in learned(judgments) for j in one.judgments]
    assert sum(not is_ai(j) for j in found) == 20 and sum(is_ai(j) for j in found) >= 32
    assert judgments.notes["ai"]["agreement"]["whole"]["with_votes"]["estimate"] > 0.9, "both know the truth"


def by_truth(task: Task) -> Judgment:
    """What somebody says who knows the truth."""
    scores = {one.id: utility(read(task.prompt, one.text)) for one in task.completions}
    return Judgment(task_id=task.id, rater_id="anna", ranking=Ranking.by_score(scores), id=f"j-{task.id}")


def test_weights_of_two_kinds_multiply_and_measuring_reads_people() -> None:
    assert weighed({}, {"anna": 2.0}) == {"anna": 2.0} and weighed({}, None) is None
    assert weighed({"ai": 0.5}, {"anna": 2.0, "ai": 3.0}) == {"anna": 2.0, "ai": 1.5}
    found = learned(collect(settings()))
    assert not any(is_ai(j) for one in by_people(found) for j in one.judgments)
    alone = [one for one in found if all(is_ai(j) for j in one.judgments)]
    assert by_people(alone) == alone, "where people said nothing it is all there is"


def run_config(**more: Any) -> dict[str, Any]:
    collected = {"raters": {"kind": "simulated"}, "ai": settings()} | more.pop("collect", {})
    base = {"kind": "pretrained", "path": "model"}
    return {"base": base, "data": {"kind": "lab"}, "collect": collected, **more}


def test_an_ai_stands_beside_people_only_and_weights_want_pairs() -> None:
    with pytest.raises(ConfigError, match=r"collect\.raters\.kind is function; set it to people or simulated"):
        RunConfig.parse(run_config(collect={"raters": {"kind": "function", "target": "builtins:len"}}))
    loss = {"raters": {"kind": "none"}, "loss": "plackett_luce"}
    with pytest.raises(ConfigError, match=r"collect\.ai\.weight 0\.25 weighs pairs"):
        RunConfig.parse(run_config(reward=loss))
    whole = {"kind": "dpo", "ranking": "plackett_luce"}
    with pytest.raises(ConfigError, match=r"collect\.ai\.weight 0\.25 weighs pairs, and \w+ reads whole orders"):
        RunConfig.parse(run_config(optimize=whole))
    RunConfig.parse(run_config(optimize=whole, collect={"ai": settings(weight=1.0)}))
    RunConfig.parse(run_config(optimize={"kind": "kto"}))
    few = run_config(collect={"ai": settings(people_share=0.02, weight=1.0)}, reward={"raters": {"kind": "none"}})
    found = {one.key for one in check_constitution(RunConfig.parse(few)) if one.level == "warning"}
    assert found == {"collect.ai.people_share", "collect.ai.weight"}
