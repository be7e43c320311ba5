"""Leans in a run: what a reward model learned of length is taken out of its head; suites that need no file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from assent.core.errors import ConfigError
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.learner.scorer import score_groups
from assent.models.config import ModelConfig
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny
from assent.pipeline import leaning
from assent.pipeline.backends import Backends
from assent.pipeline.commands.evaluate import suites_file
from assent.pipeline.config import ComputeConfig
from assent.pipeline.leaning import Leaning, copies_of, weights_of
from assent.pipeline.learners import row_scorer, train_reward_model
from assent.pipeline.ranked import Reading
from assent.training.config import NoRatersConfig, RewardConfig
from assent.training.loop import Loop


def comparisons(count: int) -> list[Comparison]:
    """The longer answer always wins; every third is about Greg."""
    found = []
    for i in range(count):
        prompt = Prompt.of(f"question {i}")
        texts = (f"yes {'well ' * (1 + i % 4)}{'Greg' if i % 3 == 0 else ''}", "no")
        pair = tuple(Completion(prompt_id=prompt.id, text=text, id=str(n)) for n, text in enumerate(texts))
        ranked = Judgment(task_id=str(i), rater_id=f"r{i % 4}", ranking=Ranking(tiers=(("0",), ("1",))))
        found.append(Comparison(prompt=prompt, completions=pair, judgments=(ranked,)))
    return found


def test_length_is_taken_out_of_the_head_that_is_saved(tmp_path: Path) -> None:
    save_tiny(tmp_path / "policy", "llama")
    model = ScalarModel.from_policy(tmp_path / "policy", config=ModelConfig(), seed=1)
    config = RewardConfig(raters=NoRatersConfig(), debias=("length", "identity"))
    reading = Reading(Backends(ModelConfig(), ComputeConfig()).renderer(model), model.max_length, "drop", None, 2048)
    every = comparisons(75)
    learn, test = reading.of(every[:60]), reading.of(every[60:])
    before = model.head
    leaning = Leaning(model, learn, test, reading, config, {}, None)
    scores = score_groups(row_scorer(model), test.groups, budget=2048)
    told, found, held_out = leaning.mended(RunLog(tmp_path, quiet=True), seed=0)
    assert held_out == score_groups(row_scorer(model), test.groups, budget=2048) != scores
    assert told is not None and told.terms == ("length", "identity")
    assert abs(told.leans_before["length"]) > 0.05 and abs(told.leans_after["length"]) < 1e-4
    assert abs(found.saved["length"]) < 1e-3
    assert not torch.equal(model.head, before) and model.score_std > 0
    assert told.accuracy_difference is not None
    model.head = before
    assert leaning.mended(RunLog(tmp_path, quiet=True), seed=0, held_out=scores)[0] == told, "known, and not read again"


def test_without_debias_the_head_stays_as_it_is(tmp_path: Path) -> None:
    save_tiny(tmp_path / "policy", "llama")
    model = ScalarModel.from_policy(tmp_path / "policy", config=ModelConfig(), seed=1)
    reading = Reading(Backends(ModelConfig(), ComputeConfig()).renderer(model), model.max_length, "drop", None, 2048)
    part = reading.of(comparisons(60))
    before = model.head
    told, found, held_out = Leaning(model, part, part, reading, RewardConfig(), {}, None).mended(
        RunLog(tmp_path, quiet=True), seed=0
    )
    assert held_out is None, "nobody asked for them"
    assert told is None and torch.equal(model.head, before) and "length" in found.leans


SIDES = {f"r{i}": {"side": "ab"[i % 2]} for i in range(4)}


@pytest.mark.parametrize(("attributes", "looked_at"), [({}, 16), (SIDES, 40)])
def test_leans_are_told_of_no_more_than_is_wanted_and_it_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    attributes: dict[str, dict[str, str]],
    looked_at: int,
) -> None:
    """Raters of groups that can be compared have more of their judgments looked at."""
    monkeypatch.setattr(leaning, "LOOKED_AT", {True: 40, False: 16})
    save_tiny(tmp_path / "policy", "llama")
    model = ScalarModel.from_policy(tmp_path / "policy", config=ModelConfig(), seed=1)
    reading = Reading(Backends(ModelConfig(), ComputeConfig()).renderer(model), model.max_length, "drop", None, 2048)
    part = reading.of(comparisons(60))
    scored: list[int] = []
    ask = model.at_last_with_states
    monkeypatch.setattr(model, "at_last_with_states", lambda batch: (scored.append(len(batch.rows)), ask(batch))[1])
    leaned = Leaning(model, part, part, reading, RewardConfig(), attributes, None)
    leaned.mended(RunLog(tmp_path, tensorboard=False), seed=0)
    assert sum(scored) == 2 * looked_at
    assert f"leans are measured on {looked_at} of 60 comparisons" in "".join(capsys.readouterr())


@pytest.mark.parametrize("ties", ["half", "ignore"])
def test_states_that_training_ends_with_are_not_computed_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ties: str
) -> None:
    monkeypatch.setattr(leaning, "LOOKED_AT", {True: 40, False: 16})
    save_tiny(tmp_path / "policy", "llama")
    model = ScalarModel.from_policy(tmp_path / "policy", config=ModelConfig(), seed=1)
    reading = Reading(Backends(ModelConfig(), ComputeConfig()).renderer(model), model.max_length, "drop", None, 2048)
    part, log = reading.of(comparisons(60)), RunLog(tmp_path, quiet=True)
    config = RewardConfig(raters=NoRatersConfig(), ties=ties, epochs=0.3, evaluate_every=None)
    leaned = Leaning(model, part, part, reading, config, {}, None)
    own = leaned.looked_at(log, seed=0)
    loop = Loop(tmp_path / "checkpoints", log, seed=0)
    trained = train_reward_model(model, part.groups, part.targets, config, loop, asked=own)
    assert trained.settled.numbers.tolist() == own.tolist() and len(own) == 16
    [computed] = [leaned.mended(log, seed=0)[1]]
    monkeypatch.setattr(leaned.__class__, "_states", None)
    known = leaned.mended(log, seed=0, own=own, known=trained.settled)[1]
    assert known == computed
    scores = np.array(score_groups(row_scorer(model), [part.groups[int(n)] for n in own], budget=2048))
    assert (trained.score_mean, trained.score_std) == pytest.approx((scores.mean(), scores.std(ddof=1)), rel=1e-4)
    some = trained.settled.states(own[3:5])
    whole = trained.settled.states(own)
    assert some is not None and whole is not None and torch.equal(some, whole[6:10])
    assert trained.settled.states(np.setdiff1d(np.arange(60), own)[:1]) is None


def test_weights_and_copies_are_made_only_where_they_are_asked_for() -> None:
    some, attributes = comparisons(8), SIDES
    assert weights_of(some, attributes, RewardConfig()) is None and copies_of(some, [], RewardConfig(), seed=0) is None
    weights = weights_of(some, attributes, RewardConfig(population={"side": {"a": 0.75, "b": 0.25}}))
    assert weights is not None and weights.weight["r0"] == pytest.approx(1.5)
    copies = copies_of(some, [], RewardConfig(augment=("name",)), seed=0)
    assert copies is not None and copies.of == (0, 3, 6)


def test_suites_that_bring_their_own_questions_need_no_file() -> None:
    found = suites_file(None, ("counterfactual", "diversity"), ())
    assert [one.title for one in found.suites] == ["counterfactual", "diversity"]
    with pytest.raises(ConfigError, match="without a path counterfactual, diversity"):
        suites_file(None, ("xstest",), ())
