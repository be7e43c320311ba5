"""Models of the endpoint: policies that answer turns, texts and token ids; reward models that score answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assent.core.group import Group, TokenIds
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.generation.engine import Generation
from assent.generation.writer import LocalWriter
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.profiles.principles import prompt_under
from assent.service.endpoint.refused import Refused
from assent.training.rewards import ModelReward

_BLOCK = 256  # positions whose distribution is held in full precision at once

Question = Prompt | str | tuple[int, ...]
"""Turns to answer, or a text or token ids to go on from as they stand."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A policy's view of a row of L tokens: log-probabilities of all but the first, and the likeliest in each place.

    `logps` [L - 1], `top` and `top_logps` [L - 1, k], likeliest first; natural logarithms.
    """

    logps: NDArray[np.float32]
    top: NDArray[np.int64]
    top_logps: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer with its tokens and their log-probabilities; `reading` is that of prompt and answer together.

    `tokens` hold what the text leaves out: the end-of-turn token, a stop text.
    """

    text: str
    finished: bool
    tokens: TokenIds
    logps: NDArray[np.float32]
    reading: Reading | None


@dataclass(frozen=True, eq=False)
class Answered:
    """A prompt's tokens with its answers."""

    prompt: TokenIds
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Ask:
    """What is asked of a policy: `num_samples` answers to each question. Without `sampling` nothing is drawn."""

    questions: tuple[Question, ...]
    num_samples: int
    sampling: Sampling | None
    seed: int
    top: int | None = None
    """Alternatives wanted at each token; None: none, and rows are not read."""

    @property
    def together(self) -> tuple[object, ...] | None:
        """Equal for asks that may be answered in one batch without a change: those that draw no random numbers."""
        if self.sampling is not None and self.sampling.temperature > 0:
            return None
        return self.num_samples, self.sampling, self.top


@dataclass(frozen=True)
class ServedPolicy:
    """A policy under the name that requests call it by."""

    name: str
    policy: PolicyModel
    writer: LocalWriter
    principles: tuple[str, ...] = ()
    """What it is told before each conversation."""
    within: Callable[[], AbstractContextManager[object]] = nullcontext
    """What it computes inside of: the adapter that makes it itself, where several share a base."""
    refuse: Callable[[], None] = lambda: None
    """Raises Refused where it may not be asked now."""

    def answer(self, asks: Sequence[Ask], on_token: Callable[[Question, Generation], None]) -> list[list[Answered]]:
        """Answer asks that may be answered together, question by question.

        Answers are those of `LocalWriter.write` with the same seed. Raises Refused where a prompt is too long.
        """
        with self.within():
            return self._answers(asks, on_token)

    def _answers(self, asks: Sequence[Ask], on_token: Callable[[Question, Generation], None]) -> list[list[Answered]]:
        first = asks[0]
        questions = [question for ask in asks for question in ask.questions]
        prompts = [self._tokens(question, is_drawn=first.sampling is not None) for question in questions]
        drawn: list[list[Generation]] = [[] for _ in prompts]
        if first.sampling is not None:
            drawn = self.writer.engine.generate(
                prompts,
                num_samples=first.num_samples,
                sampling=first.sampling,
                seed=first.seed,
                on_token=lambda now: on_token(questions[0], now),
            )
        else:
            nothing = Generation(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32), finished=False)
            drawn = [[nothing] * first.num_samples for _ in prompts]
        answered = iter(
            Answered(prompt, tuple(self._answer(question, prompt, one, first) for one in row))
            for question, prompt, row in zip(questions, prompts, drawn, strict=True)
        )
        return [[next(answered) for _ in ask.questions] for ask in asks]

    def text(self, question: Question, tokens: TokenIds) -> str:
        """An answer's text, before stop texts are cut."""
        if isinstance(question, Prompt):
            return self.writer.renderer.text(tokens)
        ends = np.flatnonzero(np.isin(tokens, self.policy.eos_ids))
        return self.decode(tokens[: ends[0]] if len(ends) else tokens, is_plain=True)

    def decode(self, tokens: Sequence[int] | TokenIds, *, is_plain: bool = False) -> str:
        """Tokens as text, special ones spelled out unless `is_plain`."""
        ids = [int(token) for token in tokens]
        tokenizer = self.policy.tokenizer
        return str(tokenizer.decode(ids, skip_special_tokens=is_plain, clean_up_tokenization_spaces=False))

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """A text as token ids, with or without what the tokenizer lays around it; special tokens in it are control."""
        tokenizer: Any = self.policy.tokenizer
        found = tokenizer(text, add_special_tokens=add_special_tokens, split_special_tokens=False, verbose=False)
        return list(found["input_ids"])

    def check_tokens(self, tokens: Sequence[int], field: str) -> None:
        """Raise Refused where a request's field holds a number that is no token of the model."""
        size = int(self.policy.core.get_input_embeddings().weight.shape[0])
        wrong = next((token for token in tokens if not 0 <= token < size), None)
        if wrong is not None:
            raise Refused(400, f"{field} holds the token {wrong}; this model has 0 to {size - 1}", param=field)

    def read(self, tokens: TokenIds, *, temperature: float, top: int) -> Reading:
        """Read a row under softmax(logits / temperature), 0 meaning 1 as in sampling."""
        if len(tokens) < 2:
            return Reading(np.zeros(0, np.float32), np.zeros((0, top), np.int64), np.zeros((0, top), np.float32))
        [batch] = pack([Group(tokens[:1], (tokens[1:],))], budget=len(tokens))
        logits = self.policy.logits(batch)
        places = range(0, len(logits), _BLOCK)
        targets = torch.from_numpy(tokens[1:]).to(logits.device)
        pieces = [_read(logits[at : at + _BLOCK], targets[at : at + _BLOCK], temperature or 1.0, top) for at in places]
        logps, ids, values = (torch.cat(column).cpu().numpy() for column in zip(*pieces, strict=True))
        return Reading(logps, ids, values)

    def _tokens(self, question: Question, *, is_drawn: bool) -> TokenIds:
        context = self.policy.max_length
        if isinstance(question, Prompt):
            tokens = self.writer.renderer.prompt(prompt_under(question, self.principles))
        elif isinstance(question, str):
            tokens = self._encoded(question)
        else:
            self.check_tokens(question, "prompt")
            tokens = np.array(question, dtype=np.int64)
        if len(tokens) == 0:
            raise Refused(400, "prompt has no tokens; send at least one", param="prompt")
        if len(tokens) + is_drawn > context:
            room = " with room for an answer" if is_drawn else ""
            raise Refused(
                400,
                f"the prompt is {len(tokens)} tokens long and the context of {self.name} holds {context}{room};"
                " shorten it",
                code="context_length_exceeded",
            )
        return tokens

    def _encoded(self, text: str) -> TokenIds:
        """A text as it stands, with what the tokenizer lays before texts."""
        tokenizer: Any = self.policy.tokenizer
        ids = self.encode(text, add_special_tokens=True)
        if not ids:  # where texts begin with nothing, the empty one begins after the last one's end
            begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
            ids = [] if begin is None else [begin]
        return np.array(ids, dtype=np.int64)

    def _answer(self, question: Question, prompt: TokenIds, drawn: Generation, ask: Ask) -> Answer:
        text = "" if ask.sampling is None else ask.sampling.cut(self.text(question, drawn.tokens))
        reading = None
        if ask.top is not None:
            row = np.concatenate([prompt, drawn.tokens])
            reading = self.read(row, temperature=ask.sampling.temperature if ask.sampling else 1.0, top=ask.top)
        return Answer(text, drawn.finished, drawn.tokens, drawn.logps, reading)


@dataclass(frozen=True)
class ServedReward:
    """A reward model under a name."""

    name: str
    model: ModelReward

    def score(self, asked: Prompt, answers: Sequence[str]) -> list[float]:
        """Scores in units of the standard deviation over its training answers, 0 their mean. Raises DataError."""
        return self.model([asked] * len(answers), answers)


def _read(logits: Tensor, targets: Tensor, temperature: float, top: int) -> tuple[Tensor, Tensor, Tensor]:
    logps = (logits / temperature).log_softmax(-1)
    best = logps.topk(min(top, logps.shape[-1]), dim=-1)
    return logps.gather(-1, targets[:, None])[:, 0], best.indices, best.values
