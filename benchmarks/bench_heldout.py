"""How good the trained model is on held-out rows, by plain transformers, the same code for both sides of `bench`.

Needs torch and a transformers model, nothing of Assent and nothing of TRL. Rows go through one by one, so there is no
padding to get wrong. Nothing of this is timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from bench_work import Pair, Work, reward
from transformers import AutoModelForSequenceClassification

NEW_TOKENS = 32


@torch.no_grad()
def logps(model: Any, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Log-probabilities of an answer's tokens."""
    ids = torch.tensor([prompt + answer])
    said = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
    return said.log_softmax(-1).gather(1, torch.tensor(answer)[:, None])[:, 0]


def next_token_loss(model: Any, pairs: Sequence[Pair]) -> dict[str, float]:
    """Mean over all tokens of the better answers, in nats."""
    every = torch.cat([logps(model, p["prompt"], p["answers"][0]) for p in pairs])
    return {"loss": -every.mean().item()}


def preference(model: Any, pairs: Sequence[Pair], start: AbstractContextManager[Any], beta: float) -> dict[str, float]:
    """DPO's loss and accuracy against the start: the model within `start`, or the one that it gives."""

    def sums(one: Any) -> torch.Tensor:
        return torch.tensor([[logps(one, p["prompt"], a).sum().item() for a in p["answers"][:2]] for p in pairs])

    now = sums(model)
    with start as before:
        then = sums(before if before is not None else model)
    lead = beta * ((now - then)[:, 0] - (now - then)[:, 1])
    return {
        "loss": -torch.nn.functional.logsigmoid(lead).mean().item(),
        "accuracy": (lead > 0).float().mean().item(),
    }


@torch.no_grad()
def ranking(model: Any, pairs: Sequence[Pair]) -> dict[str, float]:
    """Log loss and accuracy of a reward model, read at the last token of each row."""

    def score(ids: list[int]) -> float:
        return float(model(input_ids=torch.tensor([ids])).logits[0].item())

    lead = torch.tensor([score(p["prompt"] + p["answers"][0]) - score(p["prompt"] + p["answers"][1]) for p in pairs])
    return {
        "loss": -torch.nn.functional.logsigmoid(lead).mean().item(),
        "accuracy": (lead > 0).float().mean().item(),
    }


@torch.no_grad()
def rewarded(model: Any, tokenizer: Any, work: Work) -> dict[str, float]:
    """Mean reward of sampled answers to held-out prompts, with its standard error; the same draws for both sides."""
    draws = torch.Generator().manual_seed(0)
    eos, found = work.data["eos"], []
    scorer = judge(work) if work.cell["stage"] == "ppo" else None
    for prompt in work.held_out_prompts():
        ids = torch.tensor([prompt["ids"]])
        unread, cache = ids, None
        for _ in range(NEW_TOKENS):
            said = model(input_ids=unread, past_key_values=cache, use_cache=True)
            drawn = torch.multinomial(said.logits[0, -1].float().softmax(-1), 1, generator=draws)
            unread, cache = drawn[None], said.past_key_values
            ids = torch.cat([ids, unread], 1)
            if drawn.item() == eos:
                break
        text = tokenizer.decode(ids[0, len(prompt["ids"]) :], skip_special_tokens=True)
        found.append(reward(text) if scorer is None else float(scorer(input_ids=ids).logits[0].item()))
    values = torch.tensor(found)
    return {"reward": values.mean().item(), "error": (values.std() / len(found) ** 0.5).item()}


def judge(work: Work) -> Any:
    """The reward model that PPO is rewarded by."""
    kind = AutoModelForSequenceClassification
    return kind.from_pretrained(str(work.folder / "reward"), num_labels=1, dtype=torch.float32)
