"""The best answers that were drawn so far, for a policy that is fine-tuned on them afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assent.core.group import Group
from assent.training.on_policy import Experience
from assent.training.online_dpo import best_and_worst


class BestAnswers:
    """The best answer to each prompt, with the mean reward of all n and its own; a part that checkpoints carry."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.rewards = torch.zeros(0, 2)
        """[kept, 2]: mean over the n answers, and the best."""

    def keep(self, experience: Experience, n: int) -> float:
        """Take the best answer of each group; the mean of their rewards."""
        best = best_and_worst(experience.scores, n)[:, 0]
        for row, group in zip(best.tolist(), experience.rollouts.groups, strict=True):
            self.groups.append(Group(group.prompt, (group.continuations[row % n],)))
        rewards = torch.stack([experience.scores.view(-1, n).mean(1), experience.scores[best]], dim=1)
        self.rewards = torch.cat([self.rewards, rewards])
        return rewards[:, 1].mean().item()

    def tensors(self) -> Mapping[str, Tensor]:
        """Tokens of prompts and answers, one after another, with their lengths, and rewards."""
        rows = [row for group in self.groups for row in (group.prompt, group.continuations[0])]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        tokens = torch.from_numpy(np.concatenate(rows)) if rows else torch.zeros(0, dtype=torch.long)
        return {"tokens": tokens, "lengths": lengths, "rewards": self.rewards}

    def state(self) -> Mapping[str, Any]:
        """Nothing besides the tensors."""
        return {}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take what a checkpoint kept."""
        rows = [row.numpy() for row in tensors["tokens"].split(tensors["lengths"].tolist())]
        self.groups = [Group(prompt, (answer,)) for prompt, answer in zip(rows[::2], rows[1::2], strict=True)]
        self.rewards = tensors["rewards"].clone()
