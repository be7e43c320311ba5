"""Rows of `trl_losses` for methods that sample: GRPO with its successors' choices, RLOO, online DPO.

TRL's trainers are given the answers, their rewards and the log-probabilities of three policies, and make advantages and
loss by themselves. Ours goes the way of the trainers too: rewards, advantages, micro-batches, one division.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from trl import GRPOTrainer, RLOOTrainer
from trl.experimental.online_dpo import OnlineDPOTrainer
from trl.rewards import get_soft_overlong_punishment
from trl_sides import Row, Says, without_setup

from assent.algorithms.advantages import grpo_advantages, rloo_advantages
from assent.algorithms.objective import Loss
from assent.core.group import Group
from assent.generation.config import Sampling
from assent.learner.config import OptimizerConfig
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.correction import Correction
from assent.training.grpo import EPSILON, advantages_of, differ, grpo_objective, shaped_rewards
from assent.training.on_policy import Experience, Minibatch, row_kl, score
from assent.training.on_policy_config import GroupKLConfig, GRPOConfig, KLConfig, OnPolicyConfig, RLOOConfig
from assent.training.online_config import OnlineDPOConfig
from assent.training.online_dpo import best_and_worst, contrasted, online_dpo_objective
from assent.training.rloo import rloo_objective
from assent.training.rollouts import Rollouts

PROMPTS, LONGEST, BUDGET, CAP = 24, 40, 300, 2.0
SHARED: dict[str, Any] = {
    "sampling": Sampling(max_new_tokens=LONGEST),
    "optimizer": OptimizerConfig(tokens_per_microbatch=BUDGET),
}
PLAIN_ARGUMENTS = {
    "gradient_checkpointing_kwargs": None,
    "per_device_train_batch_size": 10**6,
    "gradient_accumulation_steps": 1,
    "steps_per_generation": 1,
    "delta": None,
    "use_bias_correction_kl": False,
    "use_vllm": False,
    "missing_eos_penalty": None,
    "torch_empty_cache_steps": None,
    "optim": "adamw_torch",
    "n_gpu": 1,
    "report_to": [],
}
PLAIN = {
    "_tokenizer": SimpleNamespace(pad_token_id=0),
    "environment_factories": None,
    "environments": None,
    "tools": None,
    "pad_to_multiple_of": None,
    "mask_truncated_completions": False,
    "num_iterations": 2,
    "vllm_importance_sampling_correction": True,
    "vllm_importance_sampling_mode": "token_truncate",
    "vllm_importance_sampling_clip_min": None,
    "vllm_importance_sampling_clip_max": CAP,
    "importance_sampling_level": "token",
    "multi_objective_aggregation": "sum_then_normalize",
    "off_policy_mask_threshold": None,
    "top_entropy_quantile": 1.0,
    "current_gradient_accumulation_steps": 1,
    "_entropy_bonus_enabled": False,
    "_pending_extra_logs": {},
    "_pending_metrics": {},
    "log_multimodal": False,
    "eos_token_ids": [0],
    "max_length": 10**6,
    "reward_processing_classes": [None],
    "state": SimpleNamespace(global_step=0),
}
"""What TRL's trainers read besides: nothing of it is used, or it is the default."""


class Draw:
    """Answers to prompts under the policy that learns, the one that sampled, the reference, and an engine; rewards."""

    def __init__(self, seed: int, *, samples: int = 4, tied: int = 0, moved: float = 0.3) -> None:
        """`tied` prompts have answers of equal reward; policies are `moved` apart, in nats per token."""
        generator = torch.Generator().manual_seed(seed)
        self.samples, rows = samples, PROMPTS * samples
        of_prompts = torch.randint(1, 9, (PROMPTS,), generator=generator)
        lengths = torch.cat([of_prompts, torch.randint(2, LONGEST, (rows,), generator=generator)])
        ids = [part.numpy() for part in torch.arange(int(lengths.sum())).split(lengths.tolist())]
        self.answers = ids[PROMPTS:]
        self.groups = tuple(
            Group(prompt, tuple(self.answers[g * samples : (g + 1) * samples]))
            for g, prompt in enumerate(ids[:PROMPTS])
        )
        self.old = -0.1 - 3 * torch.rand(int(lengths.sum()), generator=generator)
        self.leaf, self.reference, self.engine = (
            (self.old + moved * torch.randn(len(self.old), generator=generator)).clamp(max=-0.01) for _ in range(3)
        )
        scores = torch.randn(PROMPTS, samples, generator=generator)
        scores[:tied] = scores[:tied, :1]
        self.scores = scores.flatten()

    @property
    def prompts(self) -> list[Any]:
        """Token ids of the prompt of each answer."""
        return [group.prompt for group in self.groups for _ in group.continuations]

    def experience(self, correction: Correction | None = None) -> Experience:
        """The step as our trainers have it."""
        behaviour = tuple(self.engine[torch.from_numpy(ids)].numpy() for ids in self.answers)
        finished = (True,) * len(self.answers)
        rollouts = Rollouts((), self.groups, behaviour, ("",) * len(self.answers), finished)
        return Experience(rollouts, self.scores, {}, correction)

    def scored(self, experience: Experience, config: OnPolicyConfig, teaching: Tensor | None = None) -> Minibatch:
        """One optimizer step of it, in micro-batches."""
        roles: Any = SimpleNamespace(policy=Says(self.old), reference=Says(self.reference))
        [mini] = score(experience, roles, config, seed=0, teaching=teaching)
        return mini


def ours_grpo(draw: Draw, leaf: Tensor, *, config: GRPOConfig, through_engine: bool) -> Tensor:
    """The loss of one optimizer step; advantages by the deviation over K - 1, as TRL has it."""
    experience = draw.experience(Correction(CAP) if through_engine else None)
    rewards, kl = shaped_rewards(experience, config), price(config)
    mini = draw.scored(experience, config, None if kl else differ(rewards, experience.group))
    advantages = advantages_of(rewards, experience.group, config)
    if config.scale == "std":
        theirs = math.sqrt((draw.samples - 1) / draw.samples)
        found = grpo_advantages(rewards, experience.group, PROMPTS, epsilon=theirs * EPSILON)
        advantages = theirs * found
    weight = mini.num_tokens if config.average == "token" else mini.num_rows
    objective = partial(grpo_objective, mini=mini, advantages=advantages, kl=kl, config=config)
    return whole(objective, mini, leaf) / weight


def ours_rloo(draw: Draw, leaf: Tensor, *, config: RLOOConfig) -> Tensor:
    """The loss of one optimizer step."""
    experience = draw.experience()
    mini = draw.scored(experience, config)
    rewards = experience.scores - price(config) * row_kl(experience, [mini])
    advantages = rloo_advantages(rewards, experience.group, PROMPTS)
    return whole(partial(rloo_objective, mini=mini, advantages=advantages, config=config), mini, leaf) / mini.num_rows


def ours_online_dpo(draw: Draw, leaf: Tensor, *, config: OnlineDPOConfig) -> Tensor:
    """The loss of one optimizer step."""
    experience = draw.experience()
    ends = best_and_worst(experience.scores, draw.samples)
    pairs = contrasted(draw.scored(experience, config), experience, ends, budget=BUDGET)
    return whole(partial(online_dpo_objective, mini=pairs, config=config), pairs, leaf) / (len(pairs.rows) / 2)


def whole(objective: Callable[[TokenScores, GroupBatch], Loss], mini: Minibatch, leaf: Tensor) -> Tensor:
    """The losses of all micro-batches together, not divided yet."""
    scores = Says(leaf).score(mini.batches)
    return torch.stack([objective(*one).total for one in zip(scores, mini.batches, strict=True)]).sum()


def price(config: GRPOConfig | RLOOConfig) -> float:
    """Of a nat."""
    return 0.0 if config.kl.kind == "off" else config.kl.coefficient


def theirs_grpo(draw: Draw, leaf: Tensor, *, config: GRPOConfig, through_engine: bool) -> Tensor:
    """TRL's loss of the step, advantages made by its own code."""
    high = config.clip if config.clip_high is None else config.clip_high
    bare = sampling_trainer(
        GRPOTrainer,
        draw,
        config,
        epsilon_high=high,
        loss_type={"answer": "grpo", "token": "dapo", "constant": "dr_grpo"}[config.average],
        scale_rewards={"std": "group", "none": "none"}[config.scale],
        use_vllm=through_engine,
    )
    logps = [draw.engine[torch.from_numpy(ids)].tolist() for ids in draw.answers] if through_engine else None
    answers = [ids.tolist() for ids in draw.answers]
    bare._generate = lambda prompts: (draw.prompts, answers, None, prompts, logps, {}, None, None)
    step = bare._generate_and_score_completions([{"prompt": ""}] * len(answers))
    return bare._compute_loss(Says(leaf), step)


def theirs_rloo(draw: Draw, leaf: Tensor, *, config: RLOOConfig) -> Tensor:
    """TRL's loss of the step, KL in the reward and advantages made by its own code."""
    bare = sampling_trainer(
        RLOOTrainer, draw, config, epsilon_high=config.clip, reward_clip_range=None, normalize_advantages=False
    )
    answers = [ids.tolist() for ids in draw.answers]
    bare._generate = lambda prompts: (draw.prompts, answers, prompts)
    step = bare._generate_and_score_completions([{"prompt": ""}] * len(answers))
    return bare._compute_loss(Says(leaf), step)


def sampling_trainer(trainer: type[Any], draw: Draw, config: GRPOConfig | RLOOConfig, **attributes: Any) -> Any:
    """A bare trainer that is told rewards and has policies to ask."""
    rewards = [draw.scores]
    if buffer := getattr(config, "overlong_buffer", 0):
        punishment = get_soft_overlong_punishment(LONGEST, buffer)
        rewards.append(torch.tensor(punishment(completion_ids=[ids.tolist() for ids in draw.answers])))
    shared = {
        "model": Says(draw.old),
        "ref_model": Says(draw.reference),
        "beta": price(config),
        "epsilon_low": config.clip,
        "num_generations": draw.samples,
        "max_completion_length": config.sampling.max_new_tokens,
        "reward_weights": torch.ones(len(rewards)),
        "reward_funcs": rewards,
        "reward_func_names": [f"term {n}" for n in range(len(rewards))],
        "_calculate_rewards": lambda *asked: torch.stack(rewards, dim=1),
        "_logs": defaultdict(list) | {"rewards": defaultdict(list), "extra": defaultdict(list)},
        "args": SimpleNamespace(**PLAIN_ARGUMENTS),
    }
    return without_setup(trainer, **PLAIN, **shared, **attributes)


def theirs_online_dpo(draw: Draw, leaf: Tensor, *, config: OnlineDPOConfig) -> Tensor:
    """TRL's loss of the step, taken where its gradient would be computed."""
    in_turn = [2 * g + k for k in range(2) for g in range(PROMPTS)]  # all first answers, then all second ones
    prompts, prompt_mask = padded([draw.prompts[row] for row in in_turn], side="left")
    answers, answer_mask = padded([draw.answers[row] for row in in_turn], side="right")
    bare = without_setup(
        OnlineDPOTrainer,
        _beta=config.beta,
        ref_model=SaysLogits(draw.reference),
        processing_class=SimpleNamespace(batch_decode=lambda ids, **asked: [""] * len(ids)),
        reward_funcs=[lambda **asked: draw.scores[in_turn].tolist()],
        reward_weights=None,
        stats=defaultdict(list),
        args=SimpleNamespace(**PLAIN_ARGUMENTS, loss_type=config.loss),
        **PLAIN,
    )
    bare._generate = lambda *asked: (prompts, prompt_mask, answers, answer_mask, None)
    kept: list[Tensor] = []
    bare.accelerator.backward = kept.append
    bare.training_step(SaysLogits(leaf), {"prompt": [""] * PROMPTS})
    return kept[0]


class SaysLogits(Says):
    """The same for a trainer that reads logits: of the token that comes next, and of one more that has all the rest."""

    def train(self) -> None:
        """Nothing of it differs."""

    def __call__(self, ids: Tensor, **asked: Any) -> SimpleNamespace:
        """Logits [B, T, V + 1]."""
        coming = ids.roll(-1, dims=1)
        logps = self.table[coming].unsqueeze(-1)
        nothing = torch.full((*ids.shape, len(self.table)), -torch.inf)
        rest = torch.log1p(-logps.exp())
        return SimpleNamespace(logits=torch.cat([nothing.scatter(2, coming.unsqueeze(-1), logps), rest], dim=2))


def padded(rows: Sequence[np.ndarray], *, side: Literal["left", "right"]) -> tuple[Tensor, Tensor]:
    """Token ids of rows of different length, and which of them are there [B, T]."""
    ids = pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True, padding_side=side)
    there = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True, padding_side=side)
    return ids, there


def grpo_row(name: str, *, tied: int = 4, through_engine: bool = False, **settings: Any) -> Row:
    config = GRPOConfig(**SHARED, samples_per_prompt=4, **settings)
    both = {"config": config, "through_engine": through_engine}
    return Row(name, partial(Draw, tied=tied), partial(ours_grpo, **both), partial(theirs_grpo, **both))


def online_row(name: str, **settings: Any) -> Row:
    config = OnlineDPOConfig(**SHARED, samples_per_prompt=2, **settings)
    sides = (partial(ours_online_dpo, config=config), partial(theirs_online_dpo, config=config))
    return Row(name, partial(Draw, samples=2), *sides)


_K3, _OFF = GroupKLConfig(coefficient=0.2), GroupKLConfig(kind="off")
_RLOO = RLOOConfig(**SHARED, samples_per_prompt=4, kl=KLConfig(kind="fixed", coefficient=0.2))
ROWS = (
    grpo_row("GRPO as published, k3 in the loss", kl=_K3),
    grpo_row("GRPO, not divided by the deviation", kl=_K3, scale="none"),
    grpo_row(
        "DAPO: token mean, higher upper clip, overlong answers",
        kl=_OFF,
        average="token",
        clip_high=0.28,
        overlong_buffer=10,
    ),
    grpo_row("DAPO, another engine's tokens", kl=_OFF, average="token", clip_high=0.28, through_engine=True),
    grpo_row("Dr. GRPO", kl=_OFF, average="constant", scale="none"),
    Row(
        "RLOO, KL in the reward",
        partial(Draw, moved=0.05),
        partial(ours_rloo, config=_RLOO),
        partial(theirs_rloo, config=_RLOO),
    ),
    online_row("online DPO", beta=0.3),
    online_row("online DPO, IPO", beta=0.3, loss="ipo"),
)
