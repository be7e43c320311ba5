"""Facts about the likelihood of pairs, ties and rankings, checked by enumerating every outcome."""

import itertools
import math

import pytest
import torch

from assent.algorithms.likelihoods import (
    LARGE_MARGINS,
    SMALL_MARGINS,
    Pairs,
    bradley_terry_loss,
    centering_penalty,
    davidson_loss,
    davidson_luce_loss,
    margins_from_strengths,
    plackett_luce_loss,
    ranking_pairs,
    rao_kupper_loss,
    tie_terms,
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def scalar(value):
    return torch.tensor(value, dtype=torch.float64)


SCORES = tensor(0.3, -1.2, 0.9, 2.0)


def pair(better, worse, *, is_tie=False, margin=0.0):
    return Pairs(
        better=torch.tensor([better]),
        worse=torch.tensor([worse]),
        is_tie=torch.tensor([is_tie]),
        weight=torch.ones(1),
        margin=torch.tensor([float(margin)]),
    )


def weak_orders(items):
    """Every way to rank items into tiers, ties allowed."""
    if not items:
        yield ()
    for size in range(1, len(items) + 1):
        for tier in itertools.combinations(items, size):
            for rest in weak_orders([i for i in items if i not in tier]):
                yield (tier, *rest)


def listed(pairs):
    return list(zip(pairs.better.tolist(), pairs.worse.tolist(), pairs.is_tie.tolist(), strict=True))


def test_the_pairs_of_a_ranking_by_hand():
    # 2 > 0 = 3 > 1, steps of margin 1 and 1/3
    pairs = ranking_pairs([[2], [0, 3], [1]], step_margins=[1.0, 1 / 3])
    assert listed(pairs) == [
        (2, 0, False),
        (2, 3, False),
        (2, 1, False),
        (0, 3, True),
        (0, 1, False),
        (3, 1, False),
    ]
    assert pairs.margin.tolist() == pytest.approx([1, 1, 4 / 3, 0, 1 / 3, 1 / 3])
    assert pairs.weight.tolist() == [0.5] * 6


@pytest.mark.parametrize("k", [1, 2, 4, 9])
def test_a_ranking_of_k_weighs_k_minus_1(k):
    pairs = ranking_pairs([[i] for i in range(k)])
    assert len(pairs.better) == k * (k - 1) // 2
    assert pairs.weight.sum().item() == pytest.approx(k - 1)


def test_pairs_join_and_wrong_margins_are_refused():
    joined = Pairs.join([ranking_pairs([[0], [1]]), ranking_pairs([[3], [2, 4]])])
    assert listed(joined) == [(0, 1, False), (3, 2, False), (3, 4, False), (2, 4, True)]
    assert joined.weight.tolist() == pytest.approx([1] + [2 / 3] * 3)
    with pytest.raises(ValueError, match="1 step margins"):
        ranking_pairs([[0], [1]], step_margins=[1.0, 1.0])
    with pytest.raises(ValueError, match="no pairs"):
        Pairs.join([])


def test_margins_grow_with_strength():
    assert margins_from_strengths([1, None, 4], table=LARGE_MARGINS) == (0, 0, 3)
    assert margins_from_strengths([2, 3], table=SMALL_MARGINS) == (1 / 3, 2 / 3)
    with pytest.raises(ValueError, match=r"\[5\]"):
        margins_from_strengths([5], table=SMALL_MARGINS)


def test_bradley_terry_by_hand():
    assert bradley_terry_loss(tensor(1, 1), pair(0, 1)).item() == pytest.approx(math.log(2))
    # a lead of log 3 wins three times in four
    assert bradley_terry_loss(tensor(math.log(3), 0), pair(0, 1)).item() == pytest.approx(-math.log(0.75))
    assert bradley_terry_loss(tensor(math.log(3) + 2, 0), pair(0, 1, margin=2)).item() == pytest.approx(-math.log(0.75))
    assert bradley_terry_loss(tensor(-1000, 0), pair(0, 1)).item() == 1000


def test_bradley_terry_pushes_better_up_worse_down_and_leaves_the_rest():
    scores = SCORES.clone().requires_grad_()
    bradley_terry_loss(scores, pair(0, 2)).sum().backward()
    wrongness = 1 / (1 + math.exp(0.3 - 0.9))
    assert scores.grad.tolist() == pytest.approx([-wrongness, 0, wrongness, 0])


def test_a_tie_pulls_scores_together_in_every_model():
    for loss in (
        bradley_terry_loss,
        lambda s, p: davidson_loss(s, p, tie=scalar(0.5)),
        lambda s, p: rao_kupper_loss(s, p, tie=scalar(0.5)),
    ):
        scores = tensor(1.0, 0.0).requires_grad_()
        loss(scores, pair(1, 0, is_tie=True)).sum().backward()
        assert scores.grad[0] > 0 > scores.grad[1]
        even = tensor(0.7, 0.7).requires_grad_()
        loss(even, pair(1, 0, is_tie=True)).sum().backward()
        assert even.grad.tolist() == pytest.approx([0, 0])
        with_margin = pair(1, 0, is_tie=True, margin=2.0)
        assert torch.equal(loss(SCORES, with_margin), loss(SCORES, pair(1, 0, is_tie=True)))


def outcomes(loss, scores):
    """Probabilities of win, tie and loss of answer 0 against answer 1."""
    chances = (loss(scores, pair(0, 1)), loss(scores, pair(0, 1, is_tie=True)), loss(scores, pair(1, 0)))
    return [math.exp(-x.item()) for x in chances]


@pytest.mark.parametrize("tie", [0.05, 0.7, 4.0])
@pytest.mark.parametrize("lead", [-3.0, 0.0, 0.4, 8.0])
def test_ties_in_plain_python(tie, lead):
    a, b = math.exp(lead), 1.0
    total = a + b + tie * math.sqrt(a * b)
    got = outcomes(lambda s, p: davidson_loss(s, p, tie=scalar(tie)), tensor(lead, 0))
    assert got == pytest.approx([a / total, tie * math.sqrt(a * b) / total, b / total])
    assert sum(got) == pytest.approx(1)

    theta = math.exp(tie)
    got = outcomes(lambda s, p: rao_kupper_loss(s, p, tie=scalar(tie)), tensor(lead, 0))
    both = (theta**2 - 1) * a * b / ((a + theta * b) * (theta * a + b))
    assert got == pytest.approx([a / (a + theta * b), both, b / (theta * a + b)])
    assert sum(got) == pytest.approx(1)


def test_without_ties_both_tie_models_are_bradley_terry_and_ties_grow_with_the_parameter():
    pairs = pair(0, 1, margin=0.5)
    for loss in (davidson_loss, rao_kupper_loss):
        assert loss(SCORES, pairs, tie=scalar(1e-12)).item() == pytest.approx(bradley_terry_loss(SCORES, pairs).item())
        tied = [outcomes(lambda s, p, t=t, f=loss: f(s, p, tie=scalar(t)), SCORES)[1] for t in (0.1, 0.5, 2.0)]
        assert tied == sorted(tied) and tied[0] < tied[-1]


@pytest.mark.parametrize("loss", [davidson_loss, rao_kupper_loss])
def test_the_gradients_of_tie_models_agree_with_finite_differences_in_scores_and_tie(loss):
    pairs = ranking_pairs([[3], [0, 2], [1]], step_margins=[0.5, 0.2])
    inputs = SCORES.clone().requires_grad_(), scalar(0.6).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: loss(s, pairs, tie=t), inputs)
    assert torch.autograd.gradcheck(lambda s: bradley_terry_loss(s, pairs), inputs[:1])


def test_the_tie_parameter_learns_the_share_of_ties():
    # Davidson at equal scores: nu / (2 + nu) tie. 60% ties: nu = 3. Rao-Kupper: (theta - 1) / (theta + 1), theta = 4.
    pairs = Pairs.join([pair(0, 1, is_tie=True)] * 6 + [pair(0, 1)] * 2 + [pair(1, 0)] * 2)
    for loss, expected in ((davidson_loss, 3.0), (rao_kupper_loss, math.log(4))):
        tie = scalar(expected).requires_grad_()
        loss(tensor(0, 0), pairs, tie=tie).sum().backward()
        assert tie.grad.item() == pytest.approx(0, abs=1e-12)


def all_orders(k):
    return torch.tensor(list(itertools.permutations(range(k))))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_plackett_luce_sums_to_1_over_all_orders_and_agrees_with_a_loop(k):
    orders = all_orders(k)
    got = plackett_luce_loss(SCORES, orders)
    assert (-got).exp().sum().item() == pytest.approx(1)
    for order, loss in zip(orders.tolist(), got.tolist(), strict=True):
        chance = 1.0
        for place, item in enumerate(order):
            chance *= math.exp(SCORES[item]) / sum(math.exp(SCORES[i]) for i in order[place:])
        assert math.exp(-loss) == pytest.approx(chance)


def test_plackett_luce_of_two_is_bradley_terry_and_forgets_the_answers_left_out():
    two = plackett_luce_loss(SCORES, torch.tensor([[2, 0]]))
    assert two.item() == pytest.approx(bradley_terry_loss(SCORES, pair(2, 0)).item())
    # Luce's axiom: summed over the place of answer 3, the chance of 2 before 0 before 1 is as if 3 were not there
    orders = torch.tensor([o for o in itertools.permutations(range(4)) if [i for i in o if i != 3] == [2, 0, 1]])
    without = plackett_luce_loss(SCORES, torch.tensor([[2, 0, 1]]))
    assert (-plackett_luce_loss(SCORES, orders)).exp().sum().item() == pytest.approx(math.exp(-without.item()))


def tied_chance(scores, tiers, ties):
    """Davidson-Luce by its definition: products and roots over explicit subsets."""

    def strength(subset):
        prevalence = 1.0 if len(subset) == 1 else ties[len(subset) - 2]
        return prevalence * math.prod(math.exp(scores[i]) for i in subset) ** (1 / len(subset))

    left, chance = [i for tier in tiers for i in tier], 1.0
    for tier in tiers:
        sizes = range(1, min(len(left), len(ties) + 1) + 1)
        total = sum(strength(c) for n in sizes for c in itertools.combinations(left, n))
        chance *= strength(tier) / total
        left = [i for i in left if i not in tier]
    return chance


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("ties", [(0.4,), (0.4, 1.5, 0.2)])
def test_davidson_luce_sums_to_1_over_all_weak_orders_and_agrees_with_its_definition(k, ties):
    total = 0.0
    for tiers in weak_orders(list(range(k))):
        if max(len(tier) for tier in tiers) > len(ties) + 1:
            continue
        order = torch.tensor([[i for tier in tiers for i in tier]])
        got = davidson_luce_loss(SCORES, order, [len(tier) for tier in tiers], tie=tensor(*ties)).item()
        assert math.exp(-got) == pytest.approx(tied_chance(SCORES.tolist(), tiers, ties))
        total += math.exp(-got)
    assert total == pytest.approx(1)


def test_davidson_luce_is_davidson_for_two_and_plackett_luce_without_ties():
    for tiers, pairs in (([1, 1], pair(0, 2)), ([2], pair(0, 2, is_tie=True))):
        got = davidson_luce_loss(SCORES, torch.tensor([[0, 2]]), tiers, tie=tensor(0.8))
        assert got.item() == pytest.approx(davidson_loss(SCORES, pairs, tie=scalar(0.8)).item())
    orders = all_orders(4)
    assert torch.allclose(davidson_luce_loss(SCORES, orders, [1] * 4, tie=tensor()), plackett_luce_loss(SCORES, orders))


def test_tied_answers_may_be_named_in_any_order_and_a_shift_of_all_scores_changes_nothing():
    order = torch.tensor([[3, 0, 2, 1], [3, 2, 0, 1]])
    got = davidson_luce_loss(SCORES, order, [1, 2, 1], tie=tensor(0.8, 0.1))
    assert got[0].item() == pytest.approx(got[1].item())
    assert torch.allclose(got, davidson_luce_loss(SCORES + 50, order, [1, 2, 1], tie=tensor(0.8, 0.1)))
    assert torch.allclose(plackett_luce_loss(SCORES, order), plackett_luce_loss(SCORES + 50, order))


def test_gradients_of_rankings_agree_with_finite_differences_and_sum_to_zero():
    order = torch.tensor([[3, 0, 2, 1]])
    scores, tie = SCORES.clone().requires_grad_(), tensor(0.8, 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: plackett_luce_loss(s, order), (scores,))
    assert torch.autograd.gradcheck(lambda s, t: davidson_luce_loss(s, order, [1, 2, 1], tie=t), (scores, tie))
    davidson_luce_loss(scores, order, [1, 2, 1], tie=tie).sum().backward()
    assert scores.grad.sum().item() == pytest.approx(0, abs=1e-12)
    assert scores.grad[3] < 0 < scores.grad[1]


@pytest.mark.parametrize("tiers", [(1, 2, 1), (4,), (2, 2), (1, 1, 1, 1), (3, 1)])
def test_terms_that_hold_no_strength_give_the_loss_of_every_strength(tiers: tuple[int, ...]) -> None:
    scores = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    orders = torch.tensor([[3, 1, 0, 2], [4, 7, 6, 5], [8, 11, 9, 10]])
    terms = tie_terms(scores, orders, tiers, sizes=4)
    assert terms.shape == (3 * len(tiers), 4)
    drawn = torch.bincount(torch.tensor(tiers), minlength=5)[1:] * 3
    differences = []
    for strengths in ((0.8, 0.1, 0.3), (2.0, 1.5, 0.01), (1e-3, 1e-3, 1e-3)):
        log_weight = torch.tensor([1.0, *strengths], dtype=torch.float64).log()
        told = (terms + log_weight).logsumexp(-1).sum() - drawn.double() @ log_weight
        whole = davidson_luce_loss(scores, orders, tiers, tie=torch.tensor(strengths, dtype=torch.float64)).sum()
        differences.append((whole - told).item())
    assert differences == pytest.approx([differences[0]] * 3, abs=1e-12)


def test_impossible_rankings_are_refused():
    with pytest.raises(ValueError, match="probability 0"):
        davidson_luce_loss(SCORES, torch.tensor([[0, 1, 2]]), [3], tie=tensor(0.5))
    with pytest.raises(ValueError, match="do not make up"):
        davidson_luce_loss(SCORES, torch.tensor([[0, 1, 2]]), [1, 1], tie=tensor(0.5))


def test_centering_by_hand_and_by_its_gradient():
    scores, group = tensor(1, 3, -5).requires_grad_(), torch.tensor([0, 0, 1])
    penalty = centering_penalty(scores, group, 2)
    assert penalty.tolist() == [4, 25]
    penalty.sum().backward()
    assert scores.grad.tolist() == [2, 2, -10]  # 2 * mean / K
    assert centering_penalty(tensor(1, -1), torch.tensor([0, 0]), 1).item() == 0
