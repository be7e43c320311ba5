"""Which prompts raters get, and how a budget of labels is split."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from assent.artifacts.round import read_round
from assent.artifacts.store import Artifact
from assent.core.errors import ConfigError
from assent.pipeline.budget import BudgetConfig, Use, split
from assent.pipeline.choosing import RANDOM_SHARE, chosen, disagreement
from assent.pipeline.config import RunConfig
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project

RUN = {
    "base": {"kind": "scratch"},
    "data": {"kind": "lab"},
    "rounds": 2,
    "collect": {"raters": {"kind": "simulated"}, "overlap_share": 0.2, "overlap": 3},
}


def test_models_that_agree_teach_nothing_however_unsure_and_models_that_contradict_each_other_most() -> None:
    assert disagreement([[0.0, 0.0], [0.0, 0.0]]) == 0
    assert disagreement([[2.0, 0.0], [2.0, 0.0]]) == pytest.approx(0, abs=1e-12)
    # Chances of 3/4 and 1/4: the mean is a coin, 1 bit, less the entropy of each.
    own = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert disagreement([[math.log(3), 0.0], [0.0, math.log(3)]]) == pytest.approx(1 - own)
    assert disagreement([[40.0, 0.0], [0.0, 40.0]]) == pytest.approx(1)


def test_a_single_model_is_asked_where_it_is_least_sure() -> None:
    assert disagreement([[1.0, 1.0]]) == 1
    assert disagreement([[3.0, 0.0]]) < disagreement([[1.0, 0.0]])


def test_most_prompts_are_chosen_by_worth_and_a_fifth_at_random_from_the_rest() -> None:
    worth = [float(i) for i in range(100)]
    found = chosen(worth, 20, seed=3)
    assert len(set(found)) == 20 and found == sorted(found)
    best = round((1 - RANDOM_SHARE) * 20)
    assert set(range(100 - best, 100)) <= set(found)
    assert chosen(worth, 20, seed=3) == found != chosen(worth, 20, seed=4)
    assert chosen([1.0, 2.0], 2, seed=0) == [0, 1] and chosen([1.0, 2.0], 5, seed=0) == [0, 1]


def test_a_budget_gives_evaluations_what_they_need_and_rankings_the_rest() -> None:
    # 80 % power at δ = 0.1, variance ¼: (1.96 + 0.84)² · 0.25 / 0.01 = 196.2, so 197 prompts; 2 verdicts each, 3 times.
    use = Use(rounds=2, evaluations=3, verdicts=2, overlap_share=0.2, overlap=3)
    found = split(BudgetConfig(labels=4000, see=0.1, demonstrations=20, demonstration_labels=10), use)
    assert (found.evaluated, found.evaluation, found.demonstrations) == (197, 1182, 200)
    # 2618 are left, 1309 a round: 935 tasks and twice a fifth of them, 187, are 1309.
    assert (found.tasks, found.rankings) == (935, 2618)
    assert split(BudgetConfig(labels=100), Use(1, 0, 0)).tasks == 100
    # A single task is judged by three: 6 judgments in two rounds.
    with pytest.raises(ValueError, match="give 1388 or more, or see less"):
        split(BudgetConfig(labels=1000, see=0.1, demonstrations=20, demonstration_labels=10), use)


def test_a_budget_decides_the_sizes_of_a_run_and_contradictions_are_refused() -> None:
    config = RunConfig.parse({**RUN, "budget": {"labels": 4000}})
    assert (config.sample.prompts, config.evaluate and config.evaluate.prompts) == (1005, 197)
    again = RunConfig.parse(config.model_dump(mode="json"))
    assert again == config, "what a run writes down can be read again"
    with pytest.raises(ConfigError, match=r"sample\.prompts is 50, but budget makes it 1005; leave it out"):
        RunConfig.parse({**RUN, "budget": {"labels": 4000}, "sample": {"prompts": 50}})
    with pytest.raises(ConfigError, match="collect is missing"):
        RunConfig.parse({**RUN, "collect": None, "budget": {"labels": 4000}})


SMALL = """
name: small
rounds: 2
base: {kind: scratch, vocab_size: 400, shape: {hidden: 16, layers: 1, heads: 2, context: 96}, pretrain: {epochs: 1}}
data: {kind: lab, corpus: 60, demonstrations: 60, prompts: 60}
sft: null
sample: {prompts: 8, answers: 2, candidates: 3, choose: disagreement, sampling: {max_new_tokens: 12}}
collect: {raters: {kind: simulated, number: 4}, overlap_share: 0.25, overlap: 2, second_opinions: 0.5}
optimize: {kind: rloo, steps: 1, prompts_per_step: 8, samples_per_prompt: 2, sampling: {max_new_tokens: 12}}
evaluate: null
compute: {threads: 1}
store: {url: "sqlite:///feedback.db"}
log: {tensorboard: false}
"""


def test_a_run_answers_more_prompts_than_raters_get_and_asks_again_where_it_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("assent.yaml").write_text(SMALL, encoding="utf-8")
    list(run_project(Path("assent.yaml"), quiet=True))
    notes = [{one.manifest.stage: one.notes for one in _made(number)} for number in (1, 2)]
    assert notes[0]["sample"]["prompts"] == 8 and "candidates" not in notes[0]["sample"]
    assert notes[1]["sample"]["candidates"] == 24 and notes[1]["sample"]["prompts"] == 8
    # 8 tasks, a quarter of them by two raters, and half of 8 once more, of those that are not all tied.
    assert all(10 < one["collect"]["new_judgments"] <= 14 for one in notes)
    assert all(" done " in step for step in plan_project(Path("assent.yaml"))[:-1])


def _made(number: int) -> list[Artifact]:
    folder = Path("runs/artifacts")
    return [Artifact.at(folder / one.artifact) for one in read_round(Path(f"runs/small/round-{number}"))]
