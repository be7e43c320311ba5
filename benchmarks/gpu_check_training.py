"""What `gpu_check` trains: SFT, DPO, GRPO and PPO on models of real size, memory beside its plan, an end of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from gpu_check_cells import Bench, Cell, Facts, attention, decode, machine, parity, timed
from gpu_check_models import Size, model_config, new_policy, new_scalar, random_groups

from assent.core.group import Group
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.learner.config import OptimizerConfig
from assent.learner.local import LocalLearner
from assent.models import flops, memory
from assent.models.groups import GroupBatch, pack
from assent.models.memory import Pass, Weights
from assent.models.policy import PolicyModel, TokenScores
from assent.pipeline.learners import policy_learner, value_learner
from assent.pipeline.memory_needs import Learning, Need
from assent.training.dpo import dpo_objective
from assent.training.grpo import grpo_objective
from assent.training.on_policy import Minibatch, by_row, clipped_objective
from assent.training.on_policy_config import GRPOConfig, PPOConfig
from assent.training.preference_config import DPOConfig
from assent.training.sft import next_token_loss
from assent.training.targets import Target, target_of
from assent.training.values import Targets, value_objective

_LARGE = 4_000_000_000
"""Parameters from which on layers are computed again in backward."""


def cells(found: list[Size]) -> list[Cell]:
    """Everything, what matters most first: a short budget ends with the largest models."""
    every = [Cell("machine", 20, machine), Cell("parity", 60, parity), Cell("attention", 45, attention)]
    every += [Cell("out of memory", 30, partial(out_of_memory, size=found[0]))]
    for size in found:
        every += [
            Cell(f"{name} {size.name}", 45, partial(run, size=size))
            for name, run in (("SFT", sft), ("decode", decode), ("GRPO", grpo), ("DPO", dpo), ("PPO", ppo))
        ]
    return every


def optimizer(bench: Bench, size: Size) -> OptimizerConfig:
    how: Any = {"checkpointing": "on" if size.shape.parameters > _LARGE else "off"}
    return OptimizerConfig(tokens_per_microbatch=bench.budget, **how)


def sft(bench: Bench, size: Size) -> Facts:
    """Steps of next-token loss."""
    bench.fresh()
    learner = policy_learner(new_policy(size, bench.device), optimizer(bench, size))
    groups = random_groups(bench.rows, 1, bench.prompt, bench.answer, vocabulary=size.shape.vocabulary, seed=2)
    return updated(bench, size, learner, groups, next_token_loss)


def dpo(bench: Bench, size: Size) -> Facts:
    """Steps on pairs, against a reference that is known."""
    bench.fresh()
    learner = policy_learner(new_policy(size, bench.device), optimizer(bench, size))
    count = bench.rows // 2
    groups = random_groups(count, 2, bench.prompt, bench.answer, vocabulary=size.shape.vocabulary, seed=5)
    members = [(group, better_first(n)) for n, group in enumerate(groups)]
    reference = torch.zeros(2 * count)
    objective = partial(dpo_objective, members=members, reference=reference, config=DPOConfig())
    return updated(bench, size, learner, groups, objective)


def grpo(bench: Bench, size: Size) -> Facts:
    """Answers of the policy, eight to a prompt, and a step on them."""
    bench.fresh()
    policy = new_policy(size, bench.device)
    learner = policy_learner(policy, optimizer(bench, size))
    groups, sampled = rollouts(bench, policy, answers=8)
    mini = minibatch(bench, learner, groups)
    advantages = torch.linspace(-1, 1, mini.num_rows)
    objective = partial(grpo_objective, mini=mini, advantages=advantages, kl=0.04, config=GRPOConfig())
    return {**updated(bench, size, learner, groups, objective), **sampled}


def ppo(bench: Bench, size: Size) -> Facts:
    """Answers of the policy, one to a prompt, and a step of policy and value model on them."""
    bench.fresh()
    policy = new_policy(size, bench.device)
    learner = policy_learner(policy, optimizer(bench, size))
    critic = value_learner(new_scalar(size, bench.device, trainable=True), optimizer(bench, size))
    groups, sampled = rollouts(bench, policy, answers=1)
    mini = minibatch(bench, learner, groups)
    values = by_row(mini.batches, critic.score(mini.batches))
    config = PPOConfig()
    targets = Targets(mini, values, [torch.ones_like(one) for one in values], [one + 1 for one in values])
    goal = partial(clipped_objective, mini=mini, advantages=targets.advantages, config=config)

    def also() -> None:
        objective = partial(value_objective, targets=targets, config=config)
        critic.forward_backward(mini.batches, objective, weight=mini.num_tokens)
        critic.step(learning_rate=1e-6)

    return {**updated(bench, size, learner, groups, goal, also=also), **sampled}


def out_of_memory(bench: Bench, size: Size) -> Facts:
    """Memory ends in a step: it is cut, made again, and gives the gradient of a step with enough of it."""
    bench.fresh()
    policy = new_policy(size, bench.device)
    groups = random_groups(bench.rows, 1, bench.prompt, bench.answer, vocabulary=size.shape.vocabulary, seed=6)
    batches = pack(groups, budget=bench.budget)
    weight = float(sum(b.num_scored for b in batches))
    norms, halvings = [], 0
    for is_short in (False, True):
        learner = LocalLearner(policy.parameters(), policy.logps, optimizer(bench, size))
        held = bench.held()
        if is_short and bench.device.type == "cuda":
            peak, total = bench.peak() or 0, torch.cuda.get_device_properties(bench.device).total_memory
            learner.drop_gradients()
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction((held + 0.7 * (peak - held)) / total, bench.device)
        elif is_short:
            learner.outputs = short_of(policy, bench.budget // 2)
        try:
            learner.forward_backward(batches, next_token_loss, weight=weight)
        finally:
            if bench.device.type == "cuda":
                torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
        gradients = [p.grad for p in learner.parameters.values() if p.grad is not None]
        norms.append(float(sum(one.square().sum() for one in gradients)) ** 0.5)
        learner.drop_gradients()
        halvings = learner.room.halvings
    if not halvings:
        raise AssertionError("memory did not end where it was meant to")
    off = abs(norms[1] / norms[0] - 1)
    if off > 1e-2:
        raise AssertionError(f"the gradient's length differs by {off:.2g} after memory had ended")
    return {"halvings": halvings, "gradient_off": off}


def updated(
    bench: Bench,
    size: Size,
    learner: Any,
    groups: Sequence[Group],
    objective: Callable[..., Any],
    *,
    also: Callable[[], None] | None = None,
) -> Facts:
    """Tokens a second of steps over the groups, the share of the product rate, and memory beside its plan.

    With `also` each step is one of a second model without a head besides.
    """
    batches = pack(groups, budget=bench.budget)
    weight = float(sum(b.num_scored for b in batches))

    def step() -> None:
        learner.forward_backward(batches, objective, weight=weight)
        learner.step(learning_rate=1e-6)
        if also is not None:
            also()

    seconds, steps = timed(bench, step)
    tokens, unshared = (sum(getattr(b, n) for b in batches) for n in ("num_tokens", "num_unshared_tokens"))
    row = unshared / sum(b.num_rows for b in batches)
    is_again = learner.config.checkpointing == "on"
    asked = flops.Tokens(tokens, weight, row)
    work = flops.training(size.shape, asked, is_lora=size.is_lora, is_checkpointed=is_again)
    if also is not None:
        rows_only = flops.Tokens(tokens, 0, row)
        work += flops.training(size.shape, rows_only, is_lora=size.is_lora, is_checkpointed=is_again)
    most, peak = max(b.num_tokens for b in batches), bench.peak()
    planned = plan(bench, size, most, is_again, has_value=also is not None)
    return {
        "tokens_per_second": tokens / seconds,
        "share_of_rate": bench.share(work, seconds),
        "steps": steps,
        "planned": int(planned),
        "peak": peak,
        "planned_by_peak": None if peak is None else planned / peak,
    }


def plan(bench: Bench, size: Size, tokens: int, is_again: bool, *, has_value: bool) -> float:
    """Bytes of the tensors of a step by the memory plan, without the process itself."""
    config, shape = model_config(size, bench.device), size.shape
    rank = None if config.lora is None else config.lora.rank
    copies = getattr(config, "products", "float32") == "bfloat16"
    kinds = [Weights(config.dtype, rank, False, None, copies), Weights(config.dtype, rank, True, None, copies)]
    used = kinds if has_value else kinds[:1]
    learning = tuple(Learning(str(n), shape, kind, OptimizerConfig()) for n, kind in enumerate(used))
    need = Need("cell", sum(kind.size(shape) for kind in used), "", learning)
    device = bench.device.type
    passes = {one.key: Pass(tokens, is_again) for one in learning}
    return need.total(device, passes, 0) - memory.PROCESS[device]


def rollouts(bench: Bench, policy: PolicyModel, *, answers: int) -> tuple[list[Group], Facts]:
    """Groups of sampled answers, and how fast they came."""
    policy.eos_ids = ()  # nobody stops early
    rows = bench.rows
    prompts = [g.prompt for g in random_groups(rows // answers, 1, bench.prompt, 1, vocabulary=320, seed=7)]
    engine = LocalEngine(policy, max_live_rows=rows)
    sampling = Sampling(max_new_tokens=min(bench.answer, 8 if bench.tiny else 128))
    start = bench.now()
    found = engine.generate(prompts, num_samples=answers, sampling=sampling, seed=1)
    seconds = bench.now() - start
    tokens = sum(len(one.tokens) for row in found for one in row)
    groups = [
        Group(np.asarray(prompt), tuple(one.tokens for one in row)) for prompt, row in zip(prompts, found, strict=True)
    ]
    return groups, {"sampled_tokens_per_second": tokens / seconds}


def minibatch(bench: Bench, learner: Any, groups: Sequence[Group]) -> Minibatch:
    """All groups as one, scored by the policy as it is."""
    batches = pack(groups, budget=bench.budget)
    old = by_row(batches, [scores.logps for scores in learner.score(batches)])
    rows = sum(b.num_rows for b in batches)
    return Minibatch(batches, list(range(rows)), old, old, rows, sum(b.num_scored for b in batches))


def better_first(number: int) -> Target:
    """A person who found the first of two answers better."""
    prompt = Prompt.of(f"question {number}")
    answers = tuple(Completion(prompt_id=prompt.id, text=f"answer {i}", id=f"c{i}") for i in range(2))
    judgment = Judgment(task_id="t", rater_id="r", ranking=Ranking(tiers=(("c0",), ("c1",))))
    found = target_of(Comparison(prompt=prompt, completions=answers, judgments=(judgment,)))
    assert found is not None
    return found


def short_of(policy: PolicyModel, holds: int) -> Callable[[GroupBatch], TokenScores]:
    """A CPU's stand-in for a device that holds so many tokens."""

    def outputs(batch: GroupBatch) -> TokenScores:
        if batch.num_tokens > holds:
            raise torch.OutOfMemoryError("out of memory, as said for this check")
        return policy.logps(batch)

    return outputs
