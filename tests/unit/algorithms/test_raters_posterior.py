"""Facts about the fit of raters: its gradient, what it finds among people with known traits, what it leaves alone."""

from dataclasses import fields, replace

import numpy as np
import pytest

from assent.algorithms.rater_likelihood import RaterTerms, Votes, joint_loss, ranking_votes
from assent.algorithms.rater_posterior import Evidence, Posterior, RaterState, Spreads, cut_points


def people(sharpness, *, votes=200, seed=0, position=0.0, length=0.0, tastes=None, group=None, k=3, cut=0.5):
    """What people of known traits say about answers of known scores: rankings of k with ties below `cut`."""
    random = np.random.default_rng(seed)
    scores, states, words, parts = [], [], [], []
    tastes = np.zeros((1, 4)) if tastes is None else tastes
    group = np.full(len(sharpness), -1) if group is None else group
    for r, a in enumerate(sharpness):
        for _ in range(votes // (k - 1)):
            h, w = random.normal(size=(k, 4)), random.normal(size=k) * 0.5
            s = h @ np.array([1.5, 0.5, 0.0, 0.0])
            own = s + h @ tastes[group[r]] * (group[r] >= 0)
            first = int(random.integers(k))
            seems = a * own + position * (np.arange(k) == first) + length * w + random.gumbel(size=k)
            order = np.argsort(-seems)
            tiers, start = [[int(order[0])]], seems[order[0]]
            for i in order[1:]:
                if start - seems[i] < cut:
                    tiers[-1].append(int(i))
                else:
                    tiers.append([int(i)])
                    start = seems[i]
            made = ranking_votes(tiers, first=first, log_words=list(w), rater=r)
            parts.append(replace(made, better=made.better + len(scores), worse=made.worse + len(scores)))
            scores.extend(s)
            states.extend(h)
            words.extend(w)
    groups = int(group.max()) + 1
    held = np.array(states) if groups else np.zeros((len(scores), 0))
    return Evidence(Votes.join(parts), np.array(scores), held, group, groups, has_ties=cut > 0)


def fitted(evidence, spreads=Spreads()):
    posterior = Posterior(evidence, spreads)
    start = RaterState.start(len(evidence.group), evidence.groups, evidence.states.shape[1])
    return posterior, posterior.minimize(start)


MIXED = [1.0] * 12 + [0.0] * 3 + [-1.0] * 2


def test_gradient_agrees_with_finite_differences():
    group = np.array([0, 1, 1, -1, 0])
    evidence = people([1.0, 0.5, -1.0, 0.0, 2.0], votes=30, tastes=np.eye(2, 4), group=group, position=0.5)
    votes = evidence.votes
    strength = (votes.lower == 1) & (votes.better % 2 == 0)
    evidence = replace(evidence, votes=replace(votes, upper=votes.upper.where(~strength, votes.lower + 1)))
    posterior = Posterior(evidence, Spreads())
    start = RaterState.start(5, 2, 4)
    flat = start.flat() + 0.3 * np.random.default_rng(1).normal(size=start.flat().size)
    _, gradient = posterior.value_and_gradient(start.like(flat))
    for i in range(len(flat)):
        step = np.zeros_like(flat)
        step[i] = 1e-5
        up, down = (posterior.value_and_gradient(start.like(flat + sign * step))[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5), i


def test_its_likelihood_is_that_of_the_reward_model():
    evidence = people([1.0, 0.5, -1.0], votes=30)
    votes = Votes(*(v.double() if v.is_floating_point() else v for v in vars(evidence.votes).values()))
    posterior = Posterior(replace(evidence, votes=votes), Spreads())
    usual = RaterState.start(3, 0, 0)
    cuts = cut_points(usual, has_ties=True)
    terms = RaterTerms.alike(3, cuts=cuts[0].tolist(), dtype=votes.weight.dtype)
    scores = votes.weight.new_tensor(evidence.scores)
    assert posterior.value_and_gradient(usual)[0] == pytest.approx(
        (joint_loss(scores, None, votes, terms) * votes.weight).sum().item()
    )


def test_it_tells_honest_careless_and_inverted_people_apart():
    _, found = fitted(people(MIXED))
    assert min(found.sharpness[:12]) > 0.6
    assert max(abs(found.sharpness[12:15])) < 0.25
    assert max(found.sharpness[15:]) < -0.5


def test_the_scale_of_the_scores_does_not_matter():
    evidence = people(MIXED)
    _, one = fitted(evidence)
    _, other = fitted(replace(evidence, scores=evidence.scores * 0.1))
    # Only the weak prior of the common scale moves.
    assert other.sharpness == pytest.approx(one.sharpness, abs=0.03)
    assert other.pool[5] - one.pool[5] == pytest.approx(np.log(10), abs=0.1)


def test_few_judgments_are_shrunk_to_the_pool_and_none_at_all_are_the_pool():
    people_of = people([1.0] * 10 + [-1.0], votes=300)
    last = people_of.votes.rater == 10
    some = np.flatnonzero(last)[:4]
    kept = ~last
    kept[some] = True
    fewer = Votes(*(getattr(people_of.votes, f.name)[kept] for f in fields(Votes)))
    _, all_said = fitted(people_of)
    _, few_said = fitted(replace(people_of, votes=fewer))
    posterior, nothing_said = fitted(
        replace(people_of, votes=Votes(*(getattr(people_of.votes, f.name)[~last] for f in fields(Votes))))
    )
    assert all_said.sharpness[10] < -0.5 < few_said.sharpness[10] < 1
    assert nothing_said.sharpness[10] == pytest.approx(1.0)
    assert nothing_said.log_widths[10] == pytest.approx(np.zeros(4))
    assert posterior.sharpness_errors(nothing_said)[10] == pytest.approx(0.5, rel=1e-3)


def test_intervals_cover_as_often_as_they_say():
    covered = []
    for seed in range(3):
        true = np.concatenate([np.ones(20), np.linspace(0.2, 1.8, 10)])
        posterior, found = fitted(people(true, votes=60, seed=seed, k=2, cut=0.0))
        # Relative to the pool: the mean of the prior is 1 and so is that of these people.
        covered.append(np.abs(found.sharpness - true) < 1.96 * posterior.sharpness_errors(found))
    assert 0.88 < np.mean(covered) < 0.99


def test_a_lean_to_the_first_answer_is_found_and_a_taste_for_length_shared_by_all_is_not_a_raters():
    posterior, found = fitted(people([1.0] * 12, position=0.8, length=1.0))
    assert found.pool[0] + found.position.mean() == pytest.approx(0.8, abs=0.15)
    centred = found.length - posterior.rater_share @ found.length
    assert abs(centred).max() < 0.4 and posterior.rater_share @ centred == pytest.approx(0, abs=1e-12)


def test_those_who_tie_more_have_wider_ties():
    evidence = people([1.0] * 8, cut=0.3, votes=300)
    wide = people([1.0] * 8, cut=1.5, votes=300, seed=1)
    votes = replace(
        wide.votes,
        rater=wide.votes.rater + 8,
        better=wide.votes.better + len(evidence.scores),
        worse=wide.votes.worse + len(evidence.scores),
    )
    both = replace(
        evidence,
        votes=Votes.join([evidence.votes, votes]),
        scores=np.concatenate([evidence.scores, wide.scores]),
        states=np.zeros((len(evidence.scores) + len(wide.scores), 0)),
        group=np.full(16, -1),
    )
    _, found = fitted(both)
    ties = cut_points(found, has_ties=True)[:, 0]
    assert min(ties[8:]) > 2 * max(ties[:8])


def test_where_nobody_ties_the_tie_has_no_width():
    _, found = fitted(people([1.0] * 4, cut=0.0))
    assert cut_points(found, has_ties=False)[:, 0].tolist() == [0, 0, 0, 0]


def test_a_minority_of_other_taste_is_read_as_sharp_as_the_others():
    """The naive model, a rater term without a taste of groups, reads it as less reliable."""
    sharpness, group = [1.0] * 30, np.array([0] * 24 + [1] * 6)
    tastes = np.array([[0.0, 0.0, 0.0, 0.0], [-0.7, 0.7, 0.5, 0.0]])
    evidence = people(sharpness, tastes=tastes, group=group)
    _, with_offsets = fitted(evidence, Spreads(taste=0.5))
    blind = replace(evidence, group=np.full(30, -1), groups=0, states=np.zeros((len(evidence.scores), 0)))
    _, without = fitted(blind)
    ratio, naive = (f.sharpness[24:].mean() / f.sharpness[:24].mean() for f in (with_offsets, without))
    assert abs(ratio - 1) < 0.1 and naive < 0.75
    assert np.corrcoef(with_offsets.offsets[1] - with_offsets.offsets[0], tastes[1])[0, 1] > 0.95


def test_the_same_evidence_gives_the_same_numbers():
    one, other = (fitted(people(MIXED, votes=40))[1] for _ in range(2))
    assert np.array_equal(one.flat(), other.flat())


def test_weighted_by_itself_mean_sharpness_is_one_so_that_careless_people_do_not_make_the_honest_sharper():
    """The common factor is free: the prior Σ (c·a - 1)² is least over c at c = 1, where Σ a² = Σ a."""
    honest_alone = fitted(people([1.0] * 8, votes=150, seed=3))[1].sharpness
    with_careless = fitted(people([1.0] * 8 + [0.0] * 4, votes=150, seed=3))[1].sharpness
    for found in (honest_alone, with_careless):
        assert (found**2).sum() / found.sum() == pytest.approx(1, abs=0.01)
        assert found.mean() == pytest.approx(1 / (1 + found.var() / found.mean() ** 2), abs=0.01)
    assert honest_alone.mean() == pytest.approx(1, abs=0.04)
    assert with_careless.mean() == pytest.approx(8 / 12, abs=0.1)
    assert with_careless[:8].mean() == pytest.approx(1, abs=0.06), "and not 12 / 8"
