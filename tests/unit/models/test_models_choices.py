"""Choices in the place of a row's last token: one computation, the numbers of one computation each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assent.core.group import Group
from assent.learner.scorer import LocalScorer, choice_logps, sum_logps
from assent.models.choices import with_choices
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.tiny import tiny_model, tiny_tokenizer


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def only_last(*rows: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.arange(len(row)) == len(row) - 1 for row in rows)


@pytest.mark.parametrize("attention", ["groups", "padded"])
@pytest.mark.parametrize("budget", [8, 1000])
def test_every_choice_has_the_log_probability_it_has_as_a_row_of_its_own(attention: str, budget: int) -> None:
    config = ModelConfig.parse({"attention": attention})
    policy = PolicyModel(tiny_model("llama"), tiny_tokenizer(), config=config, trainable=False)
    scorer = LocalScorer(policy.logps)
    rows = (ids(5, 6, 1), ids(2), ids(9, 9, 9, 9, 2))
    alone = ids(7, 7, 3)
    groups = [Group(ids(11, 12, 13), rows, only_last(*rows)), Group(ids(4, 8), (alone,), only_last(alone))]
    choices = [ids(1, 2), ids(30, 31, 32), ids(7), ids(3, 200)]
    found = choice_logps(scorer, groups, choices, budget=budget)
    for n, (prompt, row) in enumerate([*((ids(11, 12, 13), row) for row in rows), (ids(4, 8), alone)]):
        own = [Group(np.concatenate([prompt, row[:-1]]), (ids(int(choice)),)) for choice in choices[n]]
        torch.testing.assert_close(found[n], sum_logps(scorer, own, budget=1000), atol=2e-5, rtol=1e-4)


def test_a_row_whose_last_token_is_not_scored_is_refused() -> None:
    group = Group(ids(1), (ids(2, 3),), (np.array([True, False]),))
    [batch] = pack([group], budget=10)
    with pytest.raises(ValueError, match="last token must be scored"):
        with_choices(batch, [ids(1)])
