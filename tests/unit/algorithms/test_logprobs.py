"""Facts about token log-probabilities, and that the blocked head agrees with the plain one in values and gradients."""

import math

import pytest
import torch

from assent.algorithms.logprobs import scored_logps, token_entropy, token_logps

S, D, V = 7, 4, 11
NEVER_KEEP = 0


def make(dtype=torch.float64, seed=0):
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(S, D, generator=draw, dtype=torch.float64)
    weight = torch.randn(V, D, generator=draw, dtype=torch.float64)
    bias = torch.randn(V, generator=draw, dtype=torch.float64)
    targets = torch.randint(V, (S,), generator=draw)
    return hidden.to(dtype), weight.to(dtype), bias.to(dtype), targets


def plain_logits(hidden, weight, bias, temperature, softcap):
    logits = hidden @ weight.t() + (0 if bias is None else bias)
    return (logits if softcap is None else softcap * torch.tanh(logits / softcap)) / temperature


def test_token_logps_by_hand():
    # e^0, e^0, e^(log 2): probabilities 1/4, 1/4, 1/2
    logits = torch.tensor([[0.0, 0.0, math.log(2)]] * 2, dtype=torch.float64)
    assert token_logps(logits, torch.tensor([0, 2])).tolist() == pytest.approx([-math.log(4), -math.log(2)])
    assert token_entropy(logits)[0].item() == pytest.approx(0.5 * math.log(4) + 0.5 * math.log(2))


def test_entropy_is_log_v_when_flat_and_0_when_certain():
    assert token_entropy(torch.zeros(1, 8)).item() == pytest.approx(math.log(8))
    assert token_entropy(torch.tensor([[100.0, 0.0, 0.0]])).item() == pytest.approx(0, abs=1e-6)


def test_a_word_that_cannot_come_adds_no_entropy():
    assert token_entropy(torch.tensor([[0.0, -math.inf, 0.0]])).item() == pytest.approx(math.log(2))
    hidden, weight, _, targets = make(torch.float32)
    bias = torch.zeros(V)
    bias[3] = -math.inf
    kept = [word for word in range(V) if word != 3]
    places = torch.where(targets == 3, 0, targets)
    found = scored_logps(hidden, weight, places, bias=bias, temperature=0.5, block=3, with_entropy=True).entropy
    torch.testing.assert_close(found, token_entropy(hidden @ weight[kept].T / 0.5))


def test_one_scored_token_in_plain_python():
    hidden, weight, bias, targets = make()
    temperature, softcap = 0.7, 5.0
    got = scored_logps(
        hidden, weight, targets, bias=bias, temperature=temperature, softcap=softcap, block=3, with_entropy=True
    )
    for s in range(S):
        raw = [sum(h * w for h, w in zip(hidden[s], row, strict=True)).item() for row in weight]
        logits = [softcap * math.tanh((x + b) / softcap) / temperature for x, b in zip(raw, bias.tolist(), strict=True)]
        total = sum(math.exp(x) for x in logits)
        probs = [math.exp(x) / total for x in logits]
        assert got.logps[s].item() == pytest.approx(math.log(probs[targets[s]]))
        assert got.entropy[s].item() == pytest.approx(-sum(p * math.log(p) for p in probs))


@pytest.mark.parametrize("keep_limit", [10**6, NEVER_KEEP])
@pytest.mark.parametrize("block", [1, 3, 7, 100])
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("trained", ["all", "hidden", "weight", "bias"])
def test_values_and_gradients_agree_with_log_softmax(keep_limit, block, softcap, has_bias, trained):
    hidden, weight, bias, targets = make()
    inputs = {"hidden": hidden, "weight": weight} | ({"bias": bias} if has_bias else {})
    leaves = [x.requires_grad_() for name, x in inputs.items() if trained in ("all", name)]
    bias = bias if has_bias else None
    logits = plain_logits(hidden, weight, bias, 0.6, softcap)
    expected = token_logps(logits, targets)
    got = scored_logps(
        hidden,
        weight,
        targets,
        bias=bias,
        temperature=0.6,
        softcap=softcap,
        block=block,
        with_entropy=True,
        keep_limit=keep_limit,
    )
    assert torch.allclose(got.logps, expected, atol=1e-12)
    assert torch.allclose(got.entropy, token_entropy(logits), atol=1e-12)
    assert not got.entropy.requires_grad
    pull = torch.linspace(-1, 2, S, dtype=torch.float64)
    if leaves:
        for a, b in zip(
            torch.autograd.grad(got.logps, leaves, pull), torch.autograd.grad(expected, leaves, pull), strict=True
        ):
            assert torch.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("keep_limit", [10**6, NEVER_KEEP])
@pytest.mark.parametrize("trained", [("hidden",), ("hidden", "weight", "bias")])
def test_with_a_rounded_copy_it_says_the_same_to_the_bit_and_gradients_are_near(keep_limit, trained):
    inputs = {name: x.float() for name, x in zip(("hidden", "weight", "bias"), make()[:3], strict=True)}
    targets = make()[3]
    leaves = [inputs[name].requires_grad_() for name in trained]
    rounded = inputs["weight"].detach().to(torch.bfloat16)
    wide, rough = (
        scored_logps(
            inputs["hidden"],
            inputs["weight"],
            targets,
            bias=inputs["bias"],
            temperature=0.6,
            block=3,
            with_entropy=False,
            keep_limit=keep_limit,
            rounded=copy,
        ).logps
        for copy in (None, rounded)
    )
    assert torch.equal(wide, rough)
    pull = torch.linspace(-1, 2, S)
    for a, b in zip(torch.autograd.grad(rough, leaves, pull), torch.autograd.grad(wide, leaves, pull), strict=True):
        assert a.dtype == torch.float32 and 0 < (a - b).norm() < 1e-2 * b.norm()


@pytest.mark.parametrize("keep_limit", [10**6, NEVER_KEEP])
def test_gradients_agree_with_finite_differences(keep_limit):
    hidden, weight, bias, targets = make()

    def logps(h, w, b):
        return scored_logps(
            h,
            w,
            targets,
            bias=b,
            temperature=1.3,
            softcap=3.0,
            block=4,
            with_entropy=False,
            keep_limit=keep_limit,
        ).logps

    assert torch.autograd.gradcheck(logps, tuple(x.requires_grad_() for x in (hidden, weight, bias)))
    frozen = weight.detach(), bias.detach()
    assert torch.autograd.gradcheck(lambda h: logps(h, *frozen), (hidden,))


def test_backward_twice_through_one_graph_adds_the_same_gradient_twice():
    hidden, weight, _, targets = make()
    hidden.requires_grad_(), weight.requires_grad_()
    total = scored_logps(hidden, weight, targets, temperature=1.0, block=3, with_entropy=False).logps.sum()
    total.backward(retain_graph=True)
    once = hidden.grad.clone(), weight.grad.clone()
    total.backward()
    assert torch.equal(hidden.grad, 2 * once[0]) and torch.equal(weight.grad, 2 * once[1])


def test_the_size_of_the_block_changes_nothing():
    hidden, weight, _, targets = make()
    one, all_ = (
        scored_logps(hidden, weight, targets, temperature=1.0, block=b, with_entropy=False).logps for b in (1, S)
    )
    assert torch.allclose(one, all_, atol=1e-14)


def test_a_hopeless_target_has_a_finite_logp_and_gradient():
    # logits 1000 and 0: probability e^-1000 is 0 in floating point, its logarithm is not
    hidden = torch.tensor([[1000.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [0.0]], requires_grad=True)
    got = scored_logps(hidden, weight, torch.tensor([1]), temperature=1.0, block=1, with_entropy=True)
    assert got.logps.item() == -1000
    assert got.entropy.item() == 0
    got.logps.sum().backward()
    assert hidden.grad.item() == -1
    assert weight.grad.flatten().tolist() == [-1000, 1000]


def test_adding_a_constant_to_every_logit_changes_nothing():
    hidden, weight, bias, targets = make()
    a, b = (
        scored_logps(hidden, weight, targets, bias=x, temperature=2.0, block=4, with_entropy=True)
        for x in (bias, bias + 5)
    )
    assert torch.allclose(a.logps, b.logps) and torch.allclose(a.entropy, b.entropy)


def test_a_high_temperature_makes_every_token_equally_likely():
    hidden, weight, _, targets = make()
    got = scored_logps(hidden, weight, targets, temperature=1e9, block=4, with_entropy=True)
    assert torch.allclose(got.logps, torch.full_like(got.logps, -math.log(V)), atol=1e-7)
    assert torch.allclose(got.entropy, torch.full_like(got.logps, math.log(V)), atol=1e-7)


@pytest.mark.parametrize("keep_limit", [10**6, NEVER_KEEP])
@pytest.mark.parametrize("frozen_head", [True, False])
def test_half_precision_inputs_give_float32_results_and_half_gradients(keep_limit, frozen_head):
    hidden, weight, bias, targets = make(torch.bfloat16)
    leaves = [hidden] if frozen_head else [hidden, weight, bias]
    wide = [x.double().requires_grad_() for x in (hidden, weight, bias)]
    for x in leaves:
        x.requires_grad_()
    got = scored_logps(
        hidden, weight, targets, bias=bias, temperature=1.0, block=3, with_entropy=False, keep_limit=keep_limit
    ).logps
    expected = token_logps(plain_logits(*wide, 1.0, None), targets)
    assert got.dtype == torch.float32
    assert torch.allclose(got.double(), expected, atol=0.05)
    got.sum().backward()
    expected.sum().backward()
    for narrow, exact in zip(leaves, wide, strict=False):
        assert narrow.grad.dtype == torch.bfloat16
        assert torch.allclose(narrow.grad.double(), exact.grad, atol=0.06)


def test_scoring_without_gradients_builds_no_graph_and_no_tokens_is_no_error():
    hidden, weight, _, targets = make()
    hidden.requires_grad_(), weight.requires_grad_()
    with torch.no_grad():
        got = scored_logps(hidden, weight, targets, temperature=1.0, block=3, with_entropy=False)
    assert not got.logps.requires_grad and got.entropy is None
    empty = scored_logps(hidden[:0], weight, targets[:0], temperature=1.0, block=3, with_entropy=True)
    assert empty.logps.shape == empty.entropy.shape == (0,)
    empty.logps.sum().backward()
    assert weight.grad.abs().sum() == 0


def test_a_temperature_of_zero_is_refused():
    hidden, weight, _, targets = make()
    with pytest.raises(ValueError, match="temperature > 0"):
        scored_logps(hidden, weight, targets, temperature=0.0, block=3, with_entropy=False)
