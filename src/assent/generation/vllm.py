"""The engine that samples with vLLM: a copy of the policy in this process, which takes new weights without a restart.

vLLM computes with kernels of its own, so its log-probabilities are near the learner's and not equal to them; whoever
trains on its answers weighs them (`training/correction.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from assent.core import seeds
from assent.core.errors import NonFiniteError, UserError
from assent.core.group import TokenIds
from assent.generation.config import Sampling
from assent.generation.engine import Generation, Weights
from assent.generation.vllm_config import VllmConfig
from assent.generation.vllm_honours import refusals, refuse_absent
from assent.generation.vllm_host import VllmHost, host_for
from assent.models.policy import PolicyModel


class VllmEngine:
    """Samples from a copy of `policy` inside vLLM, as it was when weights were last handed over.

    Until then it samples from the policy as it is at each call. Engines of policies of one shape take turns in one
    vLLM. At most `max_live_rows` answers are decoded together. Raises ConfigError where vLLM is not installed.
    """

    is_exact = False

    def __init__(self, policy: PolicyModel, config: VllmConfig | None = None, *, max_live_rows: int = 64) -> None:
        refuse_absent()
        self._policy, self._config, self._max_live_rows = policy, config or VllmConfig(), max_live_rows
        self._host: VllmHost | None = None
        self._follows = bool(policy.parameters())  # as the policy is at each call, until weights are handed over
        self.version = 0

    def load_weights(self, source: Weights, *, version: int) -> None:
        """Take the weights of `source` into the policy that this engine copies, and from there to vLLM."""
        own = dict(self._policy.hf.named_parameters())
        with torch.no_grad():
            for name, weight in source.weights().items():
                if not torch.equal(own[name], weight):
                    own[name].copy_(weight)
        self._ready().take(self, self._policy)
        self.version, self._follows = version, False

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

        Each answer has a seed of its own, from its prompt's number and its own, so that it does not depend on the rest
        of the batch; `numbers` are those of prompts that are part of a longer list. Raises UserError for settings that
        vLLM cannot honour.
        """
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}")
        for name, why in refusals(sampling):
            raise UserError(f"{name} {why}")
        host = self._ready()
        _check(prompts, host.context)
        if host.owner is not self or self._follows:
            host.take(self, self._policy)
        only_whole = on_token is None and not sampling.stop
        asked: dict[str, _Answer] = {}
        for row, prompt in enumerate(prompts):
            number = row if numbers is None else int(numbers[row])
            for sample in range(num_samples):
                limit = min(sampling.max_new_tokens, host.context - len(prompt))
                params = self._params(sampling, limit=limit, seed=seeds.derive(seed, "sample", number, sample))
                name = host.ask(prompt, params, only_whole=only_whole)
                asked[name] = _Answer(row, sample, sampling, self._policy)
        answers = self._collect(host, asked, on_progress, on_token)
        return [[answers[prompt, sample] for sample in range(num_samples)] for prompt in range(len(prompts))]

    def facts(self) -> dict[str, float]:
        """vLLM keeps no count of positions or rows."""
        return {"positions_per_token": float("nan"), "live_row_share": float("nan")}

    def _ready(self) -> VllmHost:
        if self._host is None or not self._host.is_open:
            self._host = host_for(self._policy, self._config, self._max_live_rows)
        return self._host

    def _params(self, sampling: Sampling, *, limit: int, seed: int) -> dict[str, Any]:
        """Settings of one request. Only the tokens that end an answer here end it there."""
        return {
            "temperature": sampling.temperature,
            "max_tokens": limit,
            "seed": seed,
            "stop_token_ids": list(self._policy.eos_ids),
            "ignore_eos": True,
            "logprobs": 0,
            "detokenize": False,
        }

    def _collect(
        self,
        host: VllmHost,
        asked: dict[str, _Answer],
        on_progress: Callable[[int], None] | None,
        on_token: Callable[[Generation], None] | None,
    ) -> dict[tuple[int, int], Generation]:
        """Step until every answer is there."""
        live = dict(asked)
        answers: dict[tuple[int, int], Generation] = {}
        try:
            while live:
                done = 0
                for name, output, is_over in host.step():
                    if name not in live:
                        continue  # a token that was under way when its answer had ended
                    now = live[name].now(output, is_over=is_over)
                    if on_token is not None:
                        on_token(now)
                    if now.finished or is_over:
                        if not is_over:
                            host.drop(name)
                        answers[live.pop(name).place] = now
                        done += 1
                if done and on_progress is not None:
                    on_progress(done)
        finally:
            host.drop(*live)
        return answers


class _Answer:
    """One answer being written; it ends where the local engine would end it."""

    def __init__(self, prompt: int, sample: int, sampling: Sampling, policy: PolicyModel) -> None:
        self.place = (prompt, sample)
        self._stop, self._policy = sampling.stop, policy
        # Each token brings at least one byte, so few can hold a stop text.
        self._tail = 1 + max((len(stop.encode()) for stop in sampling.stop), default=0)
        self._read = 0  # tokens in which a stop text has been looked for

    def now(self, output: Any, *, is_over: bool) -> Generation:
        """What has been written, up to what ends it. Raises NonFiniteError."""
        tokens = np.array(output.token_ids, dtype=np.int64)
        pairs = zip(tokens.tolist(), output.logprobs, strict=True)
        logps = np.array([by_token[token].logprob for token, by_token in pairs], dtype=np.float32)
        if not np.isfinite(logps).all():
            place = f"prompt {self.place[0]}, sample {self.place[1]}, token {int(np.argmin(np.isfinite(logps)))}"
            raise NonFiniteError(
                f"the policy's logits for {place} are not finite; its weights may hold NaN or infinity"
            )
        end = self._end(tokens)
        if end is None:
            return Generation(tokens, logps, finished=is_over and int(tokens[-1]) in self._policy.eos_ids)
        return Generation(tokens[:end], logps[:end], finished=True)

    def _end(self, tokens: TokenIds) -> int | None:
        """Number of tokens up to the one that completes a stop text; None where none does."""
        for end in range(self._read + 1, len(tokens) + 1) if self._stop else ():
            part = tokens[max(0, end - self._tail) : end].tolist()
            text = self._policy.tokenizer.decode(part, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            if any(stop in text for stop in self._stop):
                return end
        self._read = len(tokens)
        return None


def _check(prompts: Sequence[TokenIds], context: int) -> None:
    for number, prompt in enumerate(prompts):
        if len(prompt) == 0:
            raise UserError(f"prompt {number} has no tokens; give it at least a beginning-of-text token")
        if len(prompt) >= context:
            raise UserError(
                f"prompt {number} is {len(prompt)} tokens long and the policy's context in vLLM holds {context}, which"
                " leaves no room for an answer; shorten the prompt or use a longer context"
            )
