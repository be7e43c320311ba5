"""Group batches give the numbers of plain transformers on padded rows, for every proven architecture."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BloomConfig,
    CohereConfig,
    GraniteConfig,
    MambaConfig,
    OlmoeConfig,
    PhiConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from assent.core import seeds
from assent.core.group import Group
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import FAMILIES, tiny_tokenizer

Shape = tuple[int, tuple[int, ...]]

SHAPES: dict[str, list[Shape]] = {
    "one answer": [(5, (9,)), (3, (4,)), (11, (1,)), (1, (20,)), (5, (8,))],
    "three answers": [(6, (7, 3, 12)), (1, (1, 2, 1)), (13, (5, 5, 5))],
    "mixed, very different lengths": [
        (70, (3, 2)),
        (2, (90,)),
        (3, (40, 1, 1, 2)),
        (1, (1,)),
        (30, (25, 24)),
        (4, (6,)),
    ],
}


def random_groups(shapes: Sequence[Shape], *, masks: bool = False) -> list[Group]:
    random = seeds.stream(7, "groups")

    def text(length: int) -> np.ndarray:
        return random.integers(4, 300, size=length)

    return [
        Group(
            text(prompt),
            tuple(text(n) for n in lengths),
            tuple(random.random(n) < 0.6 for n in lengths) if masks else (),
        )
        for prompt, lengths in shapes
    ]


def padded_rows(groups: Sequence[Group], *, pad: int) -> tuple[Tensor, Tensor, list[tuple[int, np.ndarray]]]:
    """Full rows [B, L], their attention mask, and (prompt length, is_scored) of each."""
    rows = [(g.prompt, c, m) for g in groups for c, m in zip(g.continuations, g.is_scored, strict=True)]
    longest = max(len(p) + len(c) for p, c, _ in rows)
    tokens = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(tokens)
    for i, (prompt, continuation, _) in enumerate(rows):
        length = len(prompt) + len(continuation)
        tokens[i, :length] = torch.from_numpy(np.concatenate([prompt, continuation]))
        mask[i, :length] = 1
    return tokens, mask, [(len(p), m) for p, _, m in rows]


def plain_logps(model: PreTrainedModel, groups: Sequence[Group], temperature: float) -> list[Tensor]:
    """Log-probabilities of scored tokens by row: full rows, padded, plain transformers, nothing shared."""
    tokens, mask, rows = padded_rows(groups, pad=0)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    known = inspect.signature(model.forward).parameters
    where = {"position_ids": positions} if "position_ids" in known else {}
    logits = model(tokens, attention_mask=mask, **where).logits.float() / temperature
    logps = logits[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return [
        logps[i, prompt - 1 : prompt - 1 + len(is_scored)][torch.from_numpy(is_scored)]
        for i, (prompt, is_scored) in enumerate(rows)
    ]


def group_logps(policy: PolicyModel, groups: Sequence[Group], temperature: float, budget: int) -> list[Tensor]:
    found: dict[int, Tensor] = {}
    for batch in pack(groups, budget=budget):
        found.update(batch.scatter(policy.logps(batch, temperature=temperature).logps))
    return [found[n] for n in range(len(found))]


def assert_gradients_close(found: PreTrainedModel, expected: PreTrainedModel) -> None:
    by_name = dict(expected.named_parameters())
    for name, parameter in found.named_parameters():
        a, b = parameter.grad, by_name[name].grad
        assert a is not None, f"{name} got no gradient"
        assert b is not None
        assert (a - b).norm() <= 1e-3 * b.norm() + 1e-7, f"gradient of {name} differs"


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("family", FAMILIES)
def test_logps_and_gradients_equal_plain_padded_forward(
    family: str, shapes: list[Shape], tiny_folder: Callable[[str], Path]
) -> None:
    policy = PolicyModel.load(tiny_folder(family), config=ModelConfig(attention="groups"), trainable=True)
    plain = AutoModelForCausalLM.from_pretrained(tiny_folder(family), attn_implementation="eager")
    groups = random_groups(shapes, masks=True)
    weights = [
        torch.randn(int(m.sum()), generator=torch.Generator().manual_seed(i))
        for i, m in enumerate(m for g in groups for m in g.is_scored)
    ]
    found = group_logps(policy, groups, 0.8, budget=120)
    expected = plain_logps(plain, groups, 0.8)
    sum((x * w).sum() for x, w in zip(found, weights, strict=True)).backward()
    sum((x * w).sum() for x, w in zip(expected, weights, strict=True)).backward()
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
    assert_gradients_close(policy.hf, plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_padded_mode_gives_the_same_numbers(family: str, tiny_folder: Callable[[str], Path]) -> None:
    policy = PolicyModel.load(tiny_folder(family), config=ModelConfig(attention="padded"), trainable=True)
    plain = AutoModelForCausalLM.from_pretrained(tiny_folder(family), attn_implementation="eager")
    assert policy.mode == "padded"
    groups = random_groups(SHAPES["mixed, very different lengths"], masks=True)
    found, expected = group_logps(policy, groups, 1.3, budget=300), plain_logps(plain, groups, 1.3)
    sum(x.sum() for x in found).backward()
    sum(x.sum() for x in expected).backward()
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
    assert_gradients_close(policy.hf, plain)


@pytest.mark.parametrize("attention", ["groups", "padded"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_equal_plain_sequence_classification(
    family: str, attention: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    config = ModelConfig(attention=attention)
    model = ScalarModel.from_policy(tiny_folder(family), config=config, seed=3)
    model.save(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path, attn_implementation="eager")
    groups = random_groups(SHAPES["mixed, very different lengths"])
    tokens, mask, rows = padded_rows(groups, pad=plain.config.pad_token_id)
    expected = plain(tokens, attention_mask=mask).logits[:, 0]
    found = torch.zeros(len(rows))
    for batch in pack(groups, budget=100):
        found = found.index_copy(0, torch.tensor(batch.rows), model.at_last(batch))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    found.square().sum().backward()
    expected.square().sum().backward()
    assert_gradients_close(model.hf, plain)

    states = plain.base_model(tokens, attention_mask=mask).last_hidden_state
    values = plain.score(states).squeeze(-1)
    for batch in pack(groups, budget=100):
        for row, per_token in batch.scatter(model.at_scored(batch)).items():
            prompt, is_scored = rows[row]
            torch.testing.assert_close(
                per_token, values[row, prompt - 1 : prompt - 1 + len(is_scored)], atol=1e-4, rtol=1e-5
            )


_SMALL = {
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.15,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        pytest.param(CohereConfig(**_SMALL, logit_scale=0.25), "groups", id="logits are multiplied"),
        pytest.param(GraniteConfig(**_SMALL, logits_scaling=4.0), "groups", id="logits are divided"),
        pytest.param(PhiConfig(**_SMALL), "groups", id="head with a bias"),
        pytest.param(OlmoeConfig(**_SMALL, num_experts=4, num_experts_per_tok=2), "groups", id="mixture of experts"),
        pytest.param(BloomConfig(vocab_size=320, hidden_size=48, n_layer=2, n_head=4), "padded", id="linear biases"),
        pytest.param(MambaConfig(vocab_size=320, hidden_size=48, num_hidden_layers=2), "padded", id="no attention"),
    ],
)
def test_other_architectures_are_right_in_the_mode_the_check_chose(config: PretrainedConfig, mode: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    groups = random_groups([(5, (4, 2)), (3, (6,))])
    with torch.no_grad():
        expected = plain_logps(model, groups, 1.0)
        policy = PolicyModel(model, tiny_tokenizer(), config=ModelConfig(), trainable=False)
        found = group_logps(policy, groups, 1.0, budget=12)
    assert policy.mode == mode
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
