"""What `assent doctor` finds out by using the base: one answer is sampled, and one is scored."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from assent.core.errors import ModelError, NonFiniteError
from assent.core.findings import Finding, error, note, ok
from assent.core.group import Group
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.models.groups import pack
from assent.models.parity import TOLERANCE
from assent.models.policy import PolicyModel
from assent.models.probe import random_tokens
from assent.models.scalar import ScalarModel
from assent.pipeline.config import RunConfig

_FIX = "take another base"


def try_sampling(policy: PolicyModel) -> Iterator[Finding]:
    """Draw a few tokens, and compare their log-probabilities with those that training would compute."""
    engine = LocalEngine(policy)
    if engine.rows.reason:
        how = "each token from the whole row" if engine.rows.kind == "uncached" else "prompts of one length together"
        yield note("sampling", f"samples slowly, {how}: {engine.rows.reason}")
    prompt = random_tokens(policy.core, min(12, policy.max_length - 2), name="doctor")
    try:
        [[answer]] = engine.generate([prompt], num_samples=1, sampling=Sampling(max_new_tokens=8), seed=0)
    except NonFiniteError as wrong:
        yield error("sampling", str(wrong), _FIX)
        return
    [batch] = pack([Group(prompt, (answer.tokens,))], budget=10**6)
    with torch.no_grad():
        expected = policy.logps(batch).logps.cpu()
    gap = (torch.from_numpy(answer.logps) - expected).abs().max().item()
    limit = TOLERANCE.get(policy.core.dtype, 1e-4) * max(1.0, expected.abs().max().item())
    if not gap <= limit:
        said = f"the log-probabilities of a sampled answer differ by {gap:.2g} nats from those in training"
        yield error("sampling", f"{said} (at most {limit:.2g})", _FIX)
    else:
        yield ok("sampling", f"sampled {len(answer.tokens)} tokens; their log-probabilities are those of training")


def try_scoring(config: RunConfig, path: str) -> Iterator[Finding]:
    """Put a score head on the base and score an answer, where the run will train a reward model or a critic."""
    if not config.fits_reward and "reward" not in config.method.wants:
        return
    try:
        model = ScalarModel.from_policy(path, config=config.model.model_copy(update={"dtype": "float32"}), seed=0)
    except ModelError as wrong:
        yield error("scoring", f"no reward model can be made of it: {wrong}", _FIX)
        return
    prompt, answer = (random_tokens(model.core, length, name=f"doctor {length}") for length in (5, 4))
    [batch] = pack([Group(prompt, (answer,))], budget=10**6)
    with torch.no_grad():
        score = model.at_last(batch).item()
    if score != score or abs(score) == float("inf"):
        yield error("scoring", f"an answer scored with a new head has the score {score}", _FIX)
    else:
        yield ok("scoring", f"a reward model can be made of it ({type(model.core).__name__}, {model.mode})")
