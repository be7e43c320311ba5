"""Rows of `trl_losses` for fine-tuning, padded and packed, and for the reward model."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor
from trl import RewardTrainer, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling
from trl_sides import Row, Says, without_setup

from assent.algorithms.likelihoods import ranking_pairs
from assent.algorithms.rater_likelihood import ranking_votes
from assent.core.group import Group
from assent.models.groups import pack
from assent.training.batches import EpochBatches
from assent.training.config import NoRatersConfig, RewardConfig
from assent.training.reward import Likelihood, reward_objective
from assent.training.sft import next_token_loss
from assent.training.targets import Target

ROWS_OF_TEXT, LONGEST, BUDGET, PAIRS, CENTERING = 48, 40, 300, 64, 0.1
IGNORED = -100


class Texts:
    """Demonstrations of different length; what the user said in the middle does not count."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, LONGEST, (ROWS_OF_TEXT, 2), generator=generator)
        ids = np.arange(int(lengths.sum()))
        self.leaf = -3 * torch.rand(len(ids), generator=generator)
        counted = (torch.rand(len(ids), generator=generator) < 0.7).numpy()
        cut = np.split(np.stack([ids, counted]), lengths.flatten().cumsum(0)[:-1], axis=1)
        self.groups = [
            Group(prompt, (answer,), (is_scored.astype(bool),))
            for (prompt, _), (answer, is_scored) in zip(cut[0::2], cut[1::2], strict=True)
        ]


def ours_sft(texts: Texts, leaf: Tensor) -> Tensor:
    """The loss of one optimizer step, in micro-batches."""
    batches = pack(texts.groups, budget=BUDGET)
    totals = [next_token_loss(*one).total for one in zip(Says(leaf).score(batches), batches, strict=True)]
    return torch.stack(totals).sum() / sum(batch.num_scored for batch in batches)


def theirs_sft(texts: Texts, leaf: Tensor, *, packed: bool) -> Tensor:
    """TRL's loss of one batch, as its collator lays rows out."""
    rows = []
    for group in texts.groups:
        [answer], [is_scored] = group.continuations, group.is_scored
        labels = [IGNORED] * len(group.prompt) + np.where(is_scored, answer, IGNORED).tolist()
        rows.append({"input_ids": [*group.prompt.tolist(), *answer.tolist()], "labels": labels})
    arguments = SimpleNamespace(loss_type="nll", average_tokens_across_devices=True)
    bare = without_setup(SFTTrainer, args=arguments, compute_loss_func=None, label_smoother=None)
    batch = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=packed)(rows)
    return bare.compute_loss(Says(leaf), batch)


class Comparisons:
    """Scores of the better and the worse answers, and by how much the better one should lead."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.leaf = 2 * torch.randn(2 * PAIRS, generator=generator)
        self.margins = 3 * torch.rand(PAIRS, generator=generator)


def ours_reward(drawn: Comparisons, leaf: Tensor, *, margins: bool, centering: float) -> Tensor:
    """The loss of one optimizer step, in micro-batches; scores are those of groups of two."""
    config = RewardConfig(raters=NoRatersConfig(), ties="half", centering=4 * centering)
    text = np.zeros(9, dtype=np.int64)
    members = [(Group(text, (text, text)), target(float(margin) if margins else 0.0)) for margin in drawn.margins]
    total = Likelihood(members, config, EpochBatches(PAIRS, PAIRS, 1.0, 0)).total(members)
    by_group = torch.stack(leaf.chunk(2), dim=1).flatten()
    losses = [
        reward_objective((batch.pick(by_group),), batch, members=members, total=total, config=config).total
        for batch in pack([group for group, _ in members], budget=BUDGET)
    ]
    return torch.stack(losses).sum() / sum(one.weight for _, one in members)


def target(margin: float) -> Target:
    """The first answer is better, and should lead by `margin`."""
    tiers = ((0,), (1,))
    votes = ranking_votes(tiers, strengths=None, first=None, log_words=(0.0, 0.0), rater=0)
    return Target((tiers,), ranking_pairs(tiers, step_margins=[margin]), votes, ("anyone",))


def theirs_reward(drawn: Comparisons, leaf: Tensor, *, margins: bool, centering: float) -> Tensor:
    """TRL's loss of one batch."""
    bare = without_setup(RewardTrainer, args=SimpleNamespace(center_rewards_coefficient=centering or None))
    batch = {"attention_mask": torch.ones(2 * PAIRS, 1)} | ({"margin": drawn.margins} if margins else {})
    return bare.compute_loss(lambda **asked: SimpleNamespace(logits=leaf[:, None]), batch)


def reward_row(name: str, *, margins: bool = False, centering: float = 0.0) -> Row:
    both = {"margins": margins, "centering": centering}
    return Row(name, Comparisons, partial(ours_reward, **both), partial(theirs_reward, **both))


ROWS = (
    Row("SFT, TRL in padded rows", Texts, ours_sft, partial(theirs_sft, packed=False)),
    Row("SFT, TRL without padding", Texts, ours_sft, partial(theirs_sft, packed=True)),
    reward_row("reward model"),
    reward_row("reward model, margins", margins=True),
    reward_row("reward model, centering", centering=CENTERING),
)
