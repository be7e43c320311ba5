"""The engine that samples in this process, from the very weights that are being trained.

A prompt is computed once for all its answers, live answers share one decode step per token, and an answer that ends
frees its row at once for a waiting one: the cost is the sum of lengths, not rows times the longest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from assent.core.errors import UserError
from assent.core.group import TokenIds
from assent.generation.config import Sampling
from assent.generation.draw import draw, less_repeated
from assent.generation.engine import Generation, Weights
from assent.generation.lean import LeanDecoder
from assent.generation.live import LiveAnswers
from assent.generation.rows import ChosenRows, choose_rows
from assent.models.policy import PolicyModel

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Occupancy:
    """The waste ledger of one call: what went through the model beside what was asked for.

    `tokens` are the prompts (once each) and the answers; `positions` were computed. An answer's last token never is,
    so without padding positions < tokens. In `steps` decode steps, `live_rows` of `capacity` rows were live on average.
    """

    tokens: int = 0
    positions: int = 0
    steps: int = 0
    live_rows: float = 0.0
    capacity: int = 0

    def facts(self) -> dict[str, float]:
        """Computed positions per token and the live share of rows; NaN where nothing was generated or decoded."""
        return {
            "positions_per_token": self.positions / self.tokens if self.tokens else float("nan"),
            "live_row_share": self.live_rows / self.capacity if self.steps else float("nan"),
        }


class LocalEngine:
    """Samples from `policy` as it is at each call: an optimizer step before is seen, adapters are active.

    At most `max_live_rows` answers are decoded together, which bounds the memory of the key-value cache. `occupancy`
    is that of the last call. `dtype` is what answers are drawn in, None: as the weights are. In another type than
    training's, log-probabilities are those of the rounded weights, which the learner's differ from.
    """

    def __init__(self, policy: PolicyModel, *, max_live_rows: int = 64, dtype: torch.dtype | None = None) -> None:
        if max_live_rows < 1:
            raise ValueError(f"max_live_rows must be at least 1, got {max_live_rows}")
        self._policy, self._max_live_rows = policy, max_live_rows
        self.rows = choose_rows(policy)
        self._lean = LeanDecoder.of(policy.core, dtype) if self.rows.kind in ("captured", "lean") else None
        if self._lean is None and dtype not in (None, policy.core.dtype):
            name = type(policy.core).__name__
            _log.warning("%s: answers are drawn in %s, not in %s: no lean pass", name, policy.core.dtype, dtype)
        self._is_rounded = self._lean is not None and dtype not in (None, policy.core.dtype)
        self.occupancy = Occupancy()
        self.version = 0

    @property
    def is_exact(self) -> bool:
        """Whether log-probabilities are those of the weights as they are trained; see `Engine.is_exact`."""
        return not self._is_rounded

    def load_weights(self, source: Weights, *, version: int) -> None:
        """Note the version. There is nothing to copy: this engine samples from the very modules that are trained."""
        self.version = version

    def generate(
        self,
        prompts: Sequence[TokenIds],
        *,
        num_samples: int,
        sampling: Sampling,
        seed: int,
        numbers: Sequence[int] | None = None,
        on_progress: Callable[[int], None] | None = None,
        on_token: Callable[[Generation], None] | None = None,
    ) -> list[list[Generation]]:
        """Draw `num_samples` answers to each prompt; see `Engine.generate`.

        An answer may be as long as `sampling.max_new_tokens` and the context window allow, whichever is less.
        """
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}")
        _check(prompts, self._policy.max_length)
        if not prompts:
            return []
        was_training = self._policy.hf.training
        self._policy.hf.eval()
        try:
            with torch.inference_mode():
                if self._lean is not None:
                    self._lean.refresh()
                rollout = _Rollout(
                    self._policy, self.rows, prompts, num_samples, sampling, seed, self._max_live_rows, self._lean
                )
                rollout.live.numbers = numbers
                answers = rollout.run(on_progress, on_token)
        finally:
            if self._lean is not None and self._policy.parameters():
                self._lean.release()  # what is trained will have changed by the next call
            if was_training:
                self._policy.hf.train()
        self.occupancy = rollout.occupancy(answers)
        return [[answers[prompt, sample] for sample in range(num_samples)] for prompt in range(len(prompts))]

    def facts(self) -> dict[str, float]:
        """The occupancy of the last call; see `Occupancy.facts`."""
        return self.occupancy.facts()


class _Rollout:
    """One call of `generate`: which answers wait, which are live, which are done."""

    def __init__(
        self,
        policy: PolicyModel,
        chosen: ChosenRows,
        prompts: Sequence[TokenIds],
        num_samples: int,
        sampling: Sampling,
        seed: int,
        max_live_rows: int,
        lean: LeanDecoder | None,
    ) -> None:
        # Longest prompts first: rows of like length live together, and the stragglers at the end are short.
        order = sorted(range(len(prompts)), key=lambda n: -len(prompts[n]))
        self._waiting = [(prompt, sample) for prompt in order for sample in range(num_samples)]
        self._num_begun = 0
        self._prompts, self._sampling, self._device = prompts, sampling, policy.device
        self._limits = [min(sampling.max_new_tokens, policy.max_length - len(prompt)) for prompt in prompts]
        self._capacity = min(max_live_rows, len(self._waiting))
        self.live = LiveAnswers(self._capacity, sampling, seed=seed, eos_ids=policy.eos_ids, tokenizer=policy.tokenizer)
        self._rows = chosen.make(policy.core, prompts, order, capacity=self._capacity, lean=lean)
        self._steps = self._live_steps = 0

    def run(
        self, on_progress: Callable[[int], None] | None, on_token: Callable[[Generation], None] | None
    ) -> dict[tuple[int, int], Generation]:
        """Write all answers; the keys are (prompt, sample)."""
        answers: dict[tuple[int, int], Generation] = {}
        while len(answers) < len(self._waiting):
            first = len(self.live) if self._has_room() else 0
            done = self._begin() if self._has_room() else self._step()
            if on_token is not None:
                for row in range(first, len(self.live)):
                    on_token(self.live.answer(row)[2])
            for row in done.tolist():
                prompt, sample, answer = self.live.answer(row)
                answers[prompt, sample] = answer
            if len(done):
                self._rows.keep(self.live.drop(done))
                if on_progress is not None:
                    on_progress(len(done))
        return answers

    def occupancy(self, answers: dict[tuple[int, int], Generation]) -> Occupancy:
        """The ledger of this rollout."""
        tokens = sum(len(p) for p in self._prompts) + sum(len(a.tokens) for a in answers.values())
        mean_rows = self._live_steps / self._steps if self._steps else 0.0
        return Occupancy(
            tokens=tokens,
            positions=self._rows.positions,
            steps=self._steps,
            live_rows=mean_rows,
            capacity=self._capacity,
        )

    def _has_room(self) -> bool:
        is_waiting = self._num_begun < len(self._waiting)
        is_open = len(self.live) < self._capacity if self._rows.can_join else len(self.live) == 0
        return is_waiting and is_open

    def _begin(self) -> NDArray[np.int64]:
        """Give free rows to waiting answers and draw their first tokens; returns the rows that are done already."""
        first = len(self.live)
        begun = self._waiting[self._num_begun : self._num_begun + self._capacity - first]
        self._num_begun += len(begun)
        for prompt, sample in begun:
            self.live.add(prompt, sample, start=len(self._prompts[prompt]), limit=self._limits[prompt])
        return self._draw(self._rows.join([prompt for prompt, _ in begun]), first)

    def _step(self) -> NDArray[np.int64]:
        """Draw the next token of every live row; returns the rows that are done with it."""
        self._steps += 1
        self._live_steps += len(self.live)
        return self._draw(self._rows.step(*self.live.newest()), 0)

    def _draw(self, logits: Float[Tensor, "B V"], first: int) -> NDArray[np.int64]:
        uniforms = torch.from_numpy(self.live.uniforms(first)).to(self._device)
        how = self._sampling
        cuts: dict[str, Any] = {"top_p": how.top_p, "top_k": how.top_k, "min_p": how.min_p}
        if how.repetition_penalty == 1.0:
            tokens, logps = draw(logits, uniforms, temperature=how.temperature, **cuts)
        else:
            seen = torch.from_numpy(self.live.seen(self._prompts, first)).to(self._device)
            changed = less_repeated(logits, seen, how.repetition_penalty)
            tokens, _ = draw(changed, uniforms, temperature=how.temperature, **cuts)
            logps = (logits.float() / (how.temperature or 1.0)).log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
        # One transfer for both; token ids are exact in float64.
        drawn = torch.stack([tokens.double(), logps.double()]).cpu().numpy()
        return self.live.append(drawn[0].astype(np.int64), drawn[1].astype(np.float32), first)


def _check(prompts: Sequence[TokenIds], max_length: int) -> None:
    for number, prompt in enumerate(prompts):
        if len(prompt) == 0:
            raise UserError(f"prompt {number} has no tokens; give it at least a beginning-of-text token")
        if len(prompt) >= max_length:
            raise UserError(
                f"prompt {number} is {len(prompt)} tokens long and the policy's context holds {max_length}, which"
                " leaves no room for an answer; shorten the prompt or use a policy with a longer context"
            )
