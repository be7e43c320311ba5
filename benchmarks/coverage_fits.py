"""Worlds of known truth for fits, corrections, statistics of rows and sequences: used by coverage.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist, median

import numpy as np
from coverage_means import NUMBERS, UNKNOWN, Random, Row, World, alike, names
from scipy.special import expit

from assent.algorithms.rater_likelihood import Votes, ranking_votes
from assent.algorithms.rater_posterior import Evidence, Posterior, RaterState, Spreads
from assent.evaluation.length_control import length_controlled
from assent.feedback.arena import Met, table
from assent.feedback.battles import Battle, standings
from assent.feedback.quality.agreement import krippendorff_alpha
from assent.stats.clustered import clustered_share
from assent.stats.dprime import d_prime, signal_detection
from assent.stats.estimate import Estimate
from assent.stats.independent import wilson
from assent.stats.ppi import FEWEST as FEWEST_LABELLED
from assent.stats.ppi import prediction_powered
from assent.stats.prevalence import corrected_share, none_of
from assent.stats.resampled import difference_of, drawn_again, left_out
from assent.stats.sequential import FEWEST, asymptotic_sequence, bounded_sequence

_Z = NormalDist().inv_cdf


def lengths(prompts: int, each: int, *, skill: float, shift: float = 0.0) -> World:
    """Verdicts that follow σ(skill + ½ tanh(Δ / sd)); new answers are longer by `shift` deviations."""

    def world(random: Random) -> tuple[Estimate, float]:
        difference = np.repeat(random.normal(shift, 1.0, prompts), each)
        chance = expit(skill + 0.5 * np.tanh(difference / np.std(difference)))
        values = (random.random(len(chance)) < chance).astype(float)
        return length_controlled(values, difference, [str(i) for i in names(random, prompts, each)]), float(
            expit(skill)
        )

    return world


def battle(votes: int) -> World:
    """The strongest of four models, against the average one; every vote by another person."""
    truth = np.array([1.0, 0.25, -0.25, -1.0])

    def world(random: Random) -> tuple[Estimate, float]:
        fought = []
        for n in range(votes):
            a, b = random.choice(4, 2, replace=False)
            won = random.random() < expit(truth[a] - truth[b])
            fought.append(Battle(f"m{a}", f"m{b}", "a" if won else "b", f"r{n}"))
        return {one.model: one.strength for one in standings(fought)}.get("m0", UNKNOWN), 1.0

    return world


def arena(prompts: int) -> World:
    """The same by the arena: three raters of one mind on two battles a prompt."""
    truth = np.array([1.0, 0.25, -0.25, -1.0])

    def world(random: Random) -> tuple[Estimate, float]:
        met = []
        for prompt in range(prompts):
            for _ in range(2):
                a, b = random.choice(4, 2, replace=False)
                won = float(random.random() < expit(truth[a] - truth[b]))
                met += 3 * [Met(f"m{a}", f"m{b}", won, str(prompt), "person")]
        found = {one.model: one.strength for one in table(met, draws=60, seed=int(random.integers(2**31))).places}
        return found.get("m0", UNKNOWN), 1.0

    return world


def sharpness(people: int, votes: int) -> World:
    """The sharpness of one of several raters, drawn as the prior says, from their choices between two answers.

    It is said given the pool: what is held is how a rater stands to the others, not the common factor."""

    def world(random: Random) -> tuple[Estimate, float]:
        sharp = random.normal(1.0, Spreads().sharpness, people)
        scores = random.normal(0, 1.5, (people * votes, 2))
        parts = []
        for n, pair in enumerate(scores):
            rater = n % people
            better = int(random.random() < expit(sharp[rater] * (pair[1] - pair[0])))
            made = ranking_votes(
                [[better], [1 - better]], first=int(random.integers(2)), log_words=[0.0, 0.0], rater=rater
            )
            parts.append(replace(made, better=made.better + 2 * n, worse=made.worse + 2 * n))
        held = np.zeros((2 * len(scores), 0))
        evidence = Evidence(Votes.join(parts), scores.ravel(), held, np.full(people, -1), 0, has_ties=False)
        posterior = Posterior(evidence, Spreads())
        state = posterior.minimize(RaterState.start(people, 0, 0))
        value, half = float(state.sharpness[0]), 1.96 * float(posterior.sharpness_errors(state)[0])
        return Estimate(estimate=value, low=value - half, high=value + half), float(
            sharp[0] / sharp.mean() * state.sharpness.mean()
        )

    return world


def alpha(prompts: int) -> World:
    """Krippendorff's alpha of three raters' marks 0, 1, 2 on two answers a prompt; the truth from 200,000 prompts."""

    def marks(random: Random, count: int) -> np.ndarray:
        middle = random.normal(size=(count, 1, 1)) * 0.5 + random.normal(size=(count, 2, 1))
        return np.digitize(middle + 0.7 * random.normal(size=(count, 2, 3)), [-0.5, 0.5]).astype(float)

    truth = krippendorff_alpha(marks(np.random.default_rng(0), 100_000).reshape(-1, 3)[:50_000])

    def of(rows: Sequence[np.ndarray]) -> float | None:
        return krippendorff_alpha(unit for row in rows for unit in row)

    def world(random: Random) -> tuple[Estimate, float]:
        found = left_out(list(marks(random, prompts)), np.arange(prompts), of, between=(-1.0, 1.0))
        return found or UNKNOWN, truth or 0.0

    return world


def told_apart(size: int, hit: float, alarm: float, *, what: str = "d_prime") -> World:
    def world(random: Random) -> tuple[Estimate, float]:
        found = signal_detection(random.binomial(size, hit), size, random.binomial(size, alarm), size)
        if what == "d_prime":
            return found.d_prime, _Z(hit) - _Z(alarm)
        return found.criterion, -(_Z(hit) + _Z(alarm)) / 2

    return world


def told_apart_by_topic(topics: int, *, is_difference: bool = False) -> World:
    """d' of rows, ten harmful and ten harmless a topic, topics differing by .4 on the scale of z; or what one policy
    has more of it than another over the same rows. The truth is that of all topics together."""

    def rate(z: float) -> float:
        return NormalDist().cdf(z / math.hypot(1.0, 0.4))

    def statistic(rows: list[tuple[int, bool, bool]]) -> float | None:
        yes, no = ([row[2] for row in rows if row[1] is kind] for kind in (True, False))
        return d_prime(sum(yes), len(yes), sum(no), len(no))

    def drawn(random: Random, own: np.ndarray, hit: float) -> list[tuple[int, bool, bool]]:
        return [
            (topic, kind, bool(random.random() < NormalDist().cdf(own[topic] + (hit if kind else -1.0))))
            for topic in range(topics)
            for kind in (True, False)
            for _ in range(10)
        ]

    def world(random: Random) -> tuple[Estimate, float]:
        own = 0.4 * random.normal(size=topics)
        rows = drawn(random, own, 1.0)
        of = [row[0] for row in rows]
        known = _Z(rate(1.0)) - _Z(rate(-1.0))
        if not is_difference:
            return left_out(rows, of, statistic) or UNKNOWN, known
        pairs = list(zip(drawn(random, own, 1.4), rows, strict=True))
        return left_out(pairs, of, difference_of(statistic)) or UNKNOWN, _Z(rate(1.4)) - _Z(rate(1.0))

    return world


def corpus_score(prompts: int) -> World:
    """A corpus score like BLEU: the geometric mean of two pooled precisions times a penalty for short answers."""

    def made(random: Random, count: int) -> np.ndarray:
        length = random.integers(8, 40, count)
        wanted = np.maximum(4, np.round(length * np.exp(0.1 + 0.2 * random.normal(size=count))))
        one = random.beta(6, 4, count)
        return np.stack([length, wanted, random.binomial(length, one), random.binomial(length - 1, one**2)], axis=1)

    def statistic(rows: Sequence[np.ndarray]) -> float | None:
        length, wanted, ones, twos = np.sum(rows, axis=0)
        if not ones or not twos:
            return 0.0
        return float(min(1.0, math.exp(1 - wanted / length)) * math.sqrt(ones / length * twos / (length - len(rows))))

    truth = statistic(made(np.random.default_rng(0), 400_000)) or 0.0

    def world(random: Random) -> tuple[Estimate, float]:
        rows = list(made(random, prompts))
        return left_out(rows, np.arange(prompts), statistic, between=(0.0, 1.0)) or UNKNOWN, truth

    return world


def bias_score(templates: int) -> World:
    """BBQ's ambiguous score by template: (1 - accuracy) · (2 · stereotyped / answered - 1), eight questions each."""

    def statistic(rows: list[int]) -> float | None:
        answered = [row for row in rows if row]
        return None if not answered else len(answered) / len(rows) * (sum(answered) / len(answered))

    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, templates, 8)
        answers = alike(random, of, 0.5, 0.2)
        rows = np.where(answers == 0, 0, 2 * alike(random, of, 0.65, 0.2) - 1).astype(int).tolist()
        return left_out(rows, of, statistic, between=(-1.0, 1.0)) or UNKNOWN, 0.5 * 0.3

    return world


def a_median(size: int) -> World:
    def world(random: Random) -> tuple[Estimate, float]:
        values = random.lognormal(size=size).tolist()
        return drawn_again(values, np.arange(size), median, draws=100) or UNKNOWN, 1.0

    return world


def behind_a_detector(tries: int, labels: int, share: float, se: float, sp: float) -> World:
    """Four tries of each of `tries` behaviours that differ, errors known from `labels` labels of either kind."""

    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, tries, 4)
        is_true = alike(random, of, share, 0.2)
        seen = (random.random(len(of)) < np.where(is_true == 1, se, 1 - sp)).astype(float)
        errors = wilson(random.binomial(labels, se), labels), wilson(random.binomial(labels, sp), labels)
        return corrected_share(clustered_share(seen, of), *errors).share, share

    return world


def nothing_seen(tries: int) -> World:
    """The bound on a share of 3 / n where nothing was seen; where something was, it is not printed."""

    def world(random: Random) -> tuple[Estimate, float]:
        seen = random.binomial(tries, 3 / tries)
        return (Estimate(estimate=0.0, low=0.0, high=1.0) if seen else none_of(tries)), 3 / tries

    return world


def corrected_judge(prompts: int, labelled: int, *, is_chosen: bool = False, share: float = 0.7) -> World:
    """Two items a prompt, a judge that finds 95 % and calls 45 % of the rest; the labelled drawn by prompt, or chosen
    three times as often where the judge says no."""

    def world(random: Random) -> tuple[Estimate, float]:
        of = names(random, prompts, 2)
        truth = alike(random, of, share, 0.2)
        judge = (random.random(len(of)) < np.where(truth == 1, 0.95, 0.45)).astype(float)
        wish = np.where(judge == 1, 1.0, 3.0)
        chance = np.minimum(1.0, 2 * labelled * wish / wish.sum())
        is_labelled = random.random(len(of)) < chance
        if not is_chosen:
            chance, is_labelled = np.ones(len(of)), np.isin(of, random.choice(prompts, labelled, replace=False))
        if len(np.unique(of[is_labelled])) < FEWEST_LABELLED:
            return UNKNOWN, share  # refused there
        told = np.where(is_labelled, truth, np.nan)
        return prediction_powered(judge, told, of, inclusion=chance, between=(0.0, 1.0)).mean, share

    return world


def bounded_looks(clusters: int, share: float, *, is_difference: bool = False) -> World:
    """A look after every cluster of three; the last one holds what all of them hold."""

    def world(random: Random) -> tuple[Estimate, float]:
        own = alike(random, names(random, clusters, 3), share, 0.3).reshape(clusters, 3).mean(axis=1)
        if not is_difference:
            return bounded_sequence(own), share
        other = alike(random, names(random, clusters, 3), share, 0.3).reshape(clusters, 3).mean(axis=1)
        return bounded_sequence(own - other, between=(-1.0, 1.0)), 0.0

    return world


def unbounded_looks(clusters: int) -> World:
    """A look after every cluster from the first that says anything; the narrowest miss of all looks counts."""

    def world(random: Random) -> tuple[Estimate, float]:
        values = random.standard_t(5, clusters)
        looks = [asymptotic_sequence(values[:t]) for t in range(FEWEST, clusters + 1, 5)]
        missed = [look for look in looks if not look.low <= 0 <= look.high]
        return (missed or looks)[-1], 0.0

    return world


def rows() -> Iterator[Row]:
    """What is measured of them."""
    for clusters in NUMBERS:
        yield Row("length_controlled", f"{clusters} prompts of 2, σ(½)", lengths(clusters, 2, skill=0.5), cost=8)
        yield Row("left_out, d'", f"{clusters} topics of 20", told_apart_by_topic(min(clusters, 60)), cost=8)
        how = f"{clusters} topics of 20, more than another policy"
        yield Row("left_out, d'", how, told_apart_by_topic(min(clusters, 60), is_difference=True), cost=8)
        yield Row("left_out, corpus score", f"{clusters} prompts", corpus_score(clusters), cost=2)
        yield Row("left_out, BBQ score", f"{clusters} templates of 8", bias_score(clusters), cost=2)
        yield Row("left_out, alpha", f"{clusters} prompts, 3 raters", alpha(clusters), cost=8)
        yield Row("drawn_again, median", f"{clusters} values", a_median(clusters), cost=2)
        for share in (0.05, 0.5):
            how = f"{clusters} prompts, looked at daily, share {share:g}"
            yield Row("bounded_sequence", how, bounded_looks(clusters, share), cost=4, aim="at least 95")
        how = f"{clusters} prompts, looked at daily, differences"
        yield Row("bounded_sequence", how, bounded_looks(clusters, 0.3, is_difference=True), cost=4, aim="at least 95")
        for share, se, sp in ((0.02, 0.9, 0.95), (0.3, 0.7, 0.8)):
            how = f"{clusters} behaviours of 4, share {share:g}, Se {se:g}, Sp {sp:g} by 60 labels"
            yield Row("corrected_share", how, behind_a_detector(clusters, 60, share, se, sp))
        for hit, alarm in ((0.8, 0.2), (0.95, 0.1)):
            how = f"{clusters} of either kind, rates {hit:g} and {alarm:g}"
            yield Row("signal_detection, d'", how, told_apart(clusters, hit, alarm))
            yield Row("signal_detection, criterion", how, told_apart(clusters, hit, alarm, what="criterion"))
        how = f"{10 * clusters} prompts of 2, labels in {clusters}"
        yield Row("prediction_powered", how, corrected_judge(10 * clusters, clusters))
        how = f"{10 * clusters} prompts of 2, {2 * clusters} labels where the judge says no"
        yield Row("prediction_powered", how, corrected_judge(10 * clusters, clusters, is_chosen=True))
        yield Row("none_of", f"{clusters} tries of share 3 / {clusters}", nothing_seen(clusters), aim="at least 95")
    for prompts, skill, shift in ((20, 3.0, 0.0), (60, 4.0, 0.0), (200, 0.5, 2.5)):
        how = f"{prompts} prompts of 2, σ({skill:g}), new longer by {shift:g} sd"
        yield Row("length_controlled", how, lengths(prompts, 2, skill=skill, shift=shift), cost=8)
    for votes in (12, 40, 150):
        yield Row("standings, strength", f"{votes} votes on 4 models", battle(votes), cost=8)
    for prompts in (20, 60, 200):
        yield Row("arena, strength", f"{prompts} prompts, 4 models", arena(prompts), cost=8)
    for votes in (10, 40):
        yield Row("rater's sharpness", f"8 raters of {votes} votes", sharpness(8, votes), cost=8)
    for clusters in (60, 200, 600):
        how = f"{clusters} prompts, looked at daily, t with 5 degrees"
        yield Row("asymptotic_sequence", how, unbounded_looks(clusters), cost=2, aim="at least 95")
