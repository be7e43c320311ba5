"""Logits of scored tokens: their softmax is what the policy says of the tokens, in every architecture and mode."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assent.core.group import Group
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.tiny import FAMILIES, tiny_model, tiny_tokenizer


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["auto", "padded"])
def test_log_softmax_of_the_logits_is_the_log_probability(family: str, attention: str) -> None:
    tokenizer = tiny_tokenizer()
    config = ModelConfig.parse({"attention": attention})
    policy = PolicyModel(tiny_model(family, tokenizer=tokenizer), tokenizer, config=config, trainable=False)
    rows = [np.array([3, 9, 4, 17]), np.array([8, 2])]
    [batch] = pack([Group(np.array([5, 11, 7]), tuple(rows))], budget=100)
    logits = policy.logits(batch)
    assert logits.shape == (6, len(tokenizer))
    found = logits.log_softmax(-1).gather(-1, batch.targets[:, None])[:, 0]
    with torch.no_grad():
        torch.testing.assert_close(found, policy.logps(batch).logps, rtol=0, atol=1e-5)
