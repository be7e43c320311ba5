"""The answers being written right now, one per live row: what they have so far, their random numbers, when they end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assent.core.errors import NonFiniteError
from assent.core.group import TokenIds
from assent.core.seeds import stream
from assent.generation.config import Sampling
from assent.generation.engine import Generation


class LiveAnswers:
    """Up to `capacity` unfinished answers, filling rows 0 … len - 1 without holes.

    Each answer has its own stream of uniform numbers, named by its prompt's number and its own, so what is drawn does
    not depend on which rows are live together.
    """

    def __init__(
        self, capacity: int, sampling: Sampling, *, seed: int, eos_ids: tuple[int, ...], tokenizer: Any
    ) -> None:
        self._sampling, self._seed, self._tokenizer = sampling, seed, tokenizer
        self.numbers: Sequence[int] | None = None
        """The number of each prompt in a longer list; None: its own."""
        self._eos_ids = np.array(eos_ids, dtype=np.int64)
        self._stop_tail = 1 + max((len(stop.encode()) for stop in sampling.stop), default=0)
        self._size = 0
        self._owner = np.zeros((capacity, 2), dtype=np.int64)  # prompt number, sample number
        self._start = np.zeros(capacity, dtype=np.int64)  # length of the prompt
        self._limit = np.zeros(capacity, dtype=np.int64)
        self._count = np.zeros(capacity, dtype=np.int64)
        self._is_stopped = np.zeros(capacity, dtype=bool)
        self._tokens = np.zeros((capacity, sampling.max_new_tokens), dtype=np.int64)
        self._logps = np.zeros((capacity, sampling.max_new_tokens), dtype=np.float32)
        self._uniforms = np.zeros((capacity, sampling.max_new_tokens))

    def __len__(self) -> int:
        return self._size

    def add(self, prompt: int, sample: int, *, start: int, limit: int) -> None:
        """Begin answer `sample` to prompt number `prompt` of length `start`, of at most `limit` tokens."""
        row = self._size
        self._owner[row] = prompt, sample
        self._start[row], self._limit[row] = start, limit
        self._count[row] = 0
        if self._sampling.temperature > 0:
            number = prompt if self.numbers is None else int(self.numbers[prompt])
            self._uniforms[row] = stream(self._seed, "sample", number, sample).random(self._sampling.max_new_tokens)
        self._size += 1

    def uniforms(self, first: int = 0) -> NDArray[np.float64]:
        """The random number of the next token of each row from `first` on."""
        rows = np.arange(first, self._size)
        return self._uniforms[rows, self._count[rows]]

    def newest(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Last token of each row and its position in the sequence that begins with the prompt."""
        rows, last = np.arange(self._size), self._count[: self._size] - 1
        return self._tokens[rows, last], self._start[: self._size] + last

    def seen(self, prompts: Sequence[TokenIds], first: int = 0) -> NDArray[np.int64]:
        """Tokens of prompt and answer of each row from `first` on, [rows, L]; short ones repeat their last."""
        rows = [
            np.concatenate([prompts[self._owner[row, 0]], self._tokens[row, : self._count[row]]])
            for row in range(first, self._size)
        ]
        longest = max(len(row) for row in rows)
        return np.stack([np.pad(row, (0, longest - len(row)), mode="edge") for row in rows])

    def append(self, tokens: NDArray[np.int64], logps: NDArray[np.float32], first: int = 0) -> NDArray[np.int64]:
        """Add a token to each row from `first` on; returns the rows that are done with it."""
        rows = np.arange(first, self._size)
        if not np.isfinite(logps).all():
            self._refuse(int(rows[~np.isfinite(logps)][0]))
        count = self._count[rows]
        self._tokens[rows, count], self._logps[rows, count] = tokens, logps
        self._count[rows] = count = count + 1
        is_stopped = (tokens[:, None] == self._eos_ids).any(1)
        if self._sampling.stop:
            is_stopped = is_stopped | [self._ends_with_stop(row) for row in rows.tolist()]
        self._is_stopped[rows] = is_stopped
        return rows[is_stopped | (count >= self._limit[rows])]

    def answer(self, row: int) -> tuple[int, int, Generation]:
        """Prompt number, sample number, and what has been written."""
        count = self._count[row]
        written = Generation(
            tokens=self._tokens[row, :count].copy(),
            logps=self._logps[row, :count].copy(),
            finished=bool(self._is_stopped[row]),
        )
        return int(self._owner[row, 0]), int(self._owner[row, 1]), written

    def drop(self, done: NDArray[np.int64]) -> NDArray[np.int64]:
        """Remove rows; the last ones fill the holes. Returns the former number of each row left, never below its new.

        One move per hole: keeping old rows in front, to read each block of rows only as far as its longest, was tried
        and saved a tenth of the reading.
        """
        former = np.arange(self._size)
        for hole in sorted(done.tolist(), reverse=True):
            self._size -= 1
            former[hole] = former[self._size]
        former = former[: self._size]
        moved = np.flatnonzero(former != np.arange(self._size))
        sizes = (self._owner, self._start, self._limit, self._count, self._is_stopped)
        for column in (*sizes, self._tokens, self._logps, self._uniforms):
            column[moved] = column[former[moved]]
        return former

    def _ends_with_stop(self, row: int) -> bool:
        """Whether a stop text is in the last tokens; each token brings at least one byte, so few can hold it."""
        count = int(self._count[row])
        tail = self._tokens[row, max(0, count - self._stop_tail) : count]
        text = self._tokenizer.decode(tail.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return any(stop in text for stop in self._sampling.stop)

    def _refuse(self, row: int) -> None:
        prompt, sample = self._owner[row]
        raise NonFiniteError(
            f"the policy's logits for prompt {prompt}, sample {sample}, token {self._count[row]} are not finite; "
            "its weights may hold NaN or infinity"
        )
