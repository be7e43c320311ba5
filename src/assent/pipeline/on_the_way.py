"""What a stage gives a training for its way: the loop, judgments held out, prompts to answer, models to keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core.errors import DataError
from assent.core.hashing import hash_json
from assent.core.lazy import pick
from assent.core.runlog import Answered, RunLog
from assent.core.types import Comparison, Marked, Prompt
from assent.data.splits import HELD_OUT_SEED, prompt_text, side_of, split_key
from assent.generation.config import Sampling
from assent.generation.writer import LocalWriter
from assent.learner.checkpoint import Cadence
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.backends import Backends, save_model, save_whole
from assent.pipeline.config import ComputeConfig
from assent.pipeline.learners import LiveWeights
from assent.training.evaluation_config import KeepConfig
from assent.training.kept import Kept
from assent.training.loop import Loop


class ShowsAnswers(Protocol):
    """Settings of which answers are kept from the way."""

    @property
    def show(self) -> int:
        """How many prompts."""
        ...

    @property
    def show_tokens(self) -> int:
        """Longest answer."""
        ...


Judged = TypeVar("Judged", bound=Comparison | Marked)


def loop_of(ctx: StageContext, compute: ComputeConfig) -> Loop:
    """The loop of a stage: checkpoints in its scratch folder, numbers in its log."""
    return Loop(ctx.scratch / "checkpoints", ctx.log, ctx.seed, Cadence(compute.checkpoint_seconds))


def keep(
    loop: Loop, ctx: StageContext, config: KeepConfig | None, model: PolicyModel | ScalarModel, start: Artifact | None
) -> None:
    """Let a loop keep the model from its way; under LoRA the adapter alone, on top of `start`."""
    if config is None:
        return

    def save(folder: Path) -> None:
        if start is None:
            save_whole(model, folder)
        else:
            save_model(model, folder, start)

    loop.kept = Kept(config, ctx.scratch / "kept", save)


def hand_over(loop: Loop, ctx: StageContext) -> dict[str, Any]:
    """Move kept models into the artifact, and give what is to be said of the way as facts of it."""
    facts = {**loop.facts, **({} if loop.ended is None else {"ended": loop.ended})}
    if loop.kept is not None:
        facts["kept"] = loop.kept.hand_over(ctx.output)
        late = [n for n in loop.kept.config.at if n > loop.done]
        if late:
            ctx.log.say(f"keep: there were {loop.done} steps, so no model was kept after {', '.join(map(str, late))}")
    return facts


def sides(judged: Sequence[Judged], share: float, log: RunLog) -> tuple[Sequence[Judged], Sequence[Judged]]:
    """What is learned, and about a `share` of all, by prompt, that is held out; said in words.

    The side of a prompt depends on its text and the share alone. Raises DataError where a side is empty.
    """
    if not share:
        return judged, []
    shares = {"train": 1 - share, "held out": share}
    told = (side_of(split_key(one.prompt), shares, seed=HELD_OUT_SEED) for one in judged)
    is_held = np.fromiter((side == "held out" for side in told), dtype=bool, count=len(judged))
    learned, held = (pick(judged, np.flatnonzero(of)) for of in (~is_held, is_held))
    if not len(learned) or not len(held):
        raise DataError(
            f"optimize.eval_share {share} holds out {len(held)} of {len(judged)} judged tasks; both sides want some:"
            " give more judgments, or another share"
        )
    log.say(f"{len(held)} of {len(judged)} judged tasks are held out by prompt: measured on the way, never learned")
    return learned, held


class Showing:
    """A few held-out prompts that a policy answers on the way, always likeliest token by likeliest token."""

    def __init__(self, backends: Backends, policy: PolicyModel, prompts: Sequence[Prompt], tokens: int) -> None:
        """`tokens` of the longest answer."""
        self._backends, self._policy, self._prompts, self._tokens = backends, policy, list(prompts), tokens
        self._writer: LocalWriter | None = None

    def __call__(self, taken: int) -> list[Answered]:
        """The answers of the policy as it is. A prompt that leaves no room is shown as such."""
        if self._writer is None:  # made when it is needed: an engine looks at its model first
            self._writer = self._backends.writer(self._policy, name="policy")
        writer = self._writer
        writer.engine.load_weights(LiveWeights(self._policy), version=taken)
        has_room = [writer.room(one) > 0 for one in self._prompts]
        fitting = [one for one, fits in zip(self._prompts, has_room, strict=True) if fits]
        greedy = Sampling(temperature=0.0, max_new_tokens=self._tokens)
        drawn = iter(writer.write(fitting, num_samples=1, sampling=greedy, seed=0))
        said = [next(drawn)[0].text if fits else "(the prompt leaves no room for an answer)" for fits in has_room]
        return [Answered(prompt_text(one), text) for one, text in zip(self._prompts, said, strict=True)]


def shown_of(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """So many of the prompts, by the hash of what they ask, so that they are the same in every run; each asked once."""
    distinct = {split_key(one): one for one in reversed(prompts)}
    order = sorted(distinct, key=lambda key: hash_json([HELD_OUT_SEED, key]))
    return [distinct[key] for key in order[:count]]


def show(loop: Loop, backends: Backends, policy: PolicyModel, prompts: Sequence[Prompt], config: ShowsAnswers) -> None:
    """Let a loop show what the policy answers on the way, where there are held-out prompts and the settings want it."""
    shown = shown_of(prompts, config.show)
    if shown:
        loop.answers = Showing(backends, policy, shown, config.show_tokens)
