"""Leans of a reward model in a run: judgments weighted, pairs copied, the head mended, and where leans come from."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from assent.core import seeds
from assent.core.group import Group
from assent.core.lazy import Places, pick
from assent.core.runlog import RunLog
from assent.core.types import Comparison
from assent.data.augment import MARK, Copies, counterfactual_copies
from assent.data.swaps import SwapLists, swap_lists
from assent.evaluation.inheritance import Debias, Inheritance, has_groups, inheritance
from assent.evaluation.reward_report import accuracy_difference, reward_report
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import scored_with_bar, state_scorer
from assent.pipeline.ranked import RankedGroups, Reading
from assent.training.answer_features import LENGTH, answers_of, exchange_directions, feature_names, votes_of
from assent.training.config import RewardConfig
from assent.training.head_fit import Answers, Floats, HeadVotes, debiased, leans
from assent.training.population import Weighting, weighting
from assent.training.reward import Settled, outputs_of

Attributes = Mapping[str, Mapping[str, str]]
MOST_LOOKED_AT = 20_000
"""Comparisons at most that leans are taken out by: the states of all their answers are in memory at once."""
LOOKED_AT = {True: 2_000, False: 256}
"""At most that leans are told of where none is taken out, by whether raters are of groups that could be compared: all
that was learned is not scored once more for it, which took 29 % of the stage."""


def weights_of(comparisons: Sequence[Comparison], attributes: Attributes, config: RewardConfig) -> Weighting | None:
    """The weight of each rater's judgments for the population that is asked for; None where none is."""
    if not config.population:
        return None
    raters = [j.rater_id for one in comparisons for j in one.judgments if j.ranking is not None]
    return weighting(raters, attributes, config.population, cap=config.population_cap)


def copies_of(
    train: Sequence[Comparison], held_out: Sequence[Comparison], config: RewardConfig, *, seed: int
) -> Copies | None:
    """Counterfactual copies to learn from; None where none are asked for."""
    if not config.augment:
        return None
    return counterfactual_copies(train, swap_lists(config.swaps, config.augment), held_out=held_out, seed=seed)


class Mended(NamedTuple):
    """What came of a reward model's leans."""

    debias: Debias | None
    """What was taken out of the head; None: nothing."""
    inherited: Inheritance
    """Where leans come from."""
    held_out: list[float] | None
    """Score of each held-out answer under the head as it is now; None: not computed."""


@dataclass(frozen=True)
class Leaning:
    """A trained reward model with what it learned from and what it never saw."""

    model: ScalarModel
    learn: RankedGroups
    test: RankedGroups
    reading: Reading
    config: RewardConfig
    attributes: Attributes
    weight: Mapping[str, float] | None

    def mended(
        self,
        log: RunLog,
        *,
        seed: int,
        own: Places | None = None,
        known: Settled | None = None,
        held_out: list[float] | None = None,
    ) -> Mended:
        """Take out of the head what is asked for, and tell where leans come from: by `own`, else by `looked_at`.

        States of their answers are computed where they are not `known` from training, and so is what the model says of
        the `held_out` answers before.
        """
        lists = swap_lists(self.config.swaps)
        if own is None:
            own = self.looked_at(log, seed=seed)
        comparisons = pick(self.learn.comparisons, own)
        groups = pick(self.learn.groups, own)
        kept = None if known is None else known.states(own)
        if kept is not None:
            states: Floats = kept.double().numpy()
        else:
            with log.progress("leans", sum(len(one.continuations) for one in groups), is_aside=True) as bar:
                states = self._states(groups, on_progress=bar.advance)
        names = feature_names(comparisons, lists)
        answers = answers_of(comparisons, states, names, lists)
        raters = sorted({j.rater_id for one in comparisons for j in one.judgments})
        votes = votes_of(comparisons, answers, raters)
        if self.weight is not None:
            votes = replace(votes, weight=votes.weight * np.array([self.weight.get(raters[i], 1) for i in votes.rater]))
        debias = None
        if self.config.debias and len(votes.weight):
            before = self._test_scores(log) if held_out is None else held_out
            terms = self._mend(comparisons, votes, answers, names, lists, seed=seed)
            held_out = self._test_scores(log)
            debias = Debias(
                **terms,
                accuracy_before=reward_report(self.test.comparisons, before).accuracy,
                accuracy_difference=accuracy_difference(self.test.comparisons, held_out, before),
            )
            log.say(f"debias: {', '.join(debias.terms)} taken out of the head; accuracy {debias.accuracy_difference}")
        found = inheritance(votes, answers, names, raters, self.attributes, self.model.head.double().numpy())
        return Mended(debias, found, held_out)

    def looked_at(self, log: RunLog, *, seed: int) -> Places:
        """Places of the comparisons that are no copies; of more than are wanted, so many drawn by the seed."""
        is_own, raters = array("b"), set[str]()
        for one in self.learn.comparisons:  # read from a file where they are many: once
            is_own.append(MARK not in one.meta)
            raters.update(judgment.rater_id for judgment in one.judgments)
        own = np.flatnonzero(is_own)
        most = MOST_LOOKED_AT if self.config.debias else LOOKED_AT[has_groups(sorted(raters), self.attributes)]
        if len(own) <= most:
            return own
        log.say(f"leans are measured on {most} of {len(own)} comparisons, drawn by the seed")
        return np.sort(seeds.stream(seed, "leans").choice(own, size=most, replace=False))

    def _mend(
        self,
        comparisons: Sequence[Comparison],
        votes: HeadVotes,
        answers: Answers,
        names: Sequence[str],
        lists: SwapLists,
        *,
        seed: int,
    ) -> dict[str, Any]:
        """Give the model its new head, and say what was taken out of it and what it leaned on before and after."""
        head, terms = self.model.head.double().numpy(), self.config.debias
        directions = None
        copies = counterfactual_copies(comparisons, lists, seed=seed) if "identity" in terms else None
        if copies is not None and copies.comparisons:
            place = {id(copy): i for copy, i in zip(copies.comparisons, copies.of, strict=True)}
            read = self.reading.of(copies.comparisons)
            kept = replace(
                copies, comparisons=tuple(read.comparisons), of=tuple(place[id(c)] for c in read.comparisons)
            )
            directions = exchange_directions(comparisons, answers.states, kept, self._states(read.groups), lists)
        drop = [names.index(LENGTH)] if "length" in terms else []
        named = [i for i, name in enumerate(names) if name != LENGTH and "identity" in terms]
        new = debiased(head, votes, answers, drop=drop, directions=directions, beside=named)
        self.model.head = torch.from_numpy(new).float()
        scores = answers.states @ new
        self.model.score_mean, self.model.score_std = float(scores.mean()), max(float(scores.std()), 1e-6)
        told = {"leans_before": head, "leans_after": new}
        return {"terms": terms} | {
            name: dict(zip(names, leans(one, answers).tolist(), strict=True)) for name, one in told.items()
        }

    def _test_scores(self, log: RunLog) -> list[float]:
        return scored_with_bar(self.model, self.test.groups, self.reading.budget, log, "held-out answers")

    def _states(self, groups: Sequence[Group], *, on_progress: Callable[[int], None] = lambda _: None) -> Floats:
        scorer, budget = state_scorer(self.model), self.reading.budget
        found = outputs_of(scorer, groups, budget=budget, keep_states=True, on_progress=on_progress)
        states: Floats = found[1].double().numpy()
        return states
