"""Rollouts one step ahead: engines draw the next step's answers while the learners train on those of this step.

    step                                          0  1  2  3
    its answers are drawn by the weights after    0  0  1  2   optimizer steps of the loop

Weights are handed over before each step, and there the next step's answers are asked for, after this step's were
taken: what draws an answer is fixed by its step, however fast anybody is. Answers that are a step old are weighed as
those of any engine that does not compute what the learner computes (`training/correction.py`).

A checkpoint waits for the answers that are being drawn and carries them, so that a resumed run goes on with the same
bits: none is drawn twice, and none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from assent.generation.engine import Generation

Answers = list[list[Generation]]
"""By prompt and sample."""
Begin = Callable[[int], Callable[[], Answers]]
"""Lets the answers of a step be drawn by the weights as they are now; what comes back waits for them."""


class Ahead:
    """The answers of the next step: being drawn, or drawn. A part that checkpoints carry."""

    def __init__(self) -> None:
        self._step = self._drawn_at = -1
        self._wait: Callable[[], Answers] | None = None

    @property
    def step(self) -> int | None:
        """The step whose answers were asked for and not taken yet."""
        return None if self._wait is None else self._step

    def take(self, step: int, total: int, begin: Begin) -> tuple[Answers, int]:
        """The answers of `step`, and how many steps older the weights are that drew them. Those of the next begin.

        Called with the weights before `step` loaded. The last of `total` steps has no next.
        """
        wait, drawn_at = (self._wait, self._drawn_at) if self.step == step else (None, step)
        answers = (wait or begin(step))()
        self._wait = None
        if step + 1 < total:
            self._step, self._drawn_at, self._wait = step + 1, step, begin(step + 1)
        return answers, step - drawn_at

    def tensors(self) -> Mapping[str, Tensor]:
        """The answers that wait: tokens [all of them], their log-probs, and by answer its length and whether it ended.

        Waits until they are drawn.
        """
        if self._wait is None:
            return {}
        answers = self._wait()
        self._wait = lambda: answers
        flat = [one for row in answers for one in row]
        return {
            "tokens": torch.cat([torch.as_tensor(one.tokens, dtype=torch.int64) for one in flat]),
            "logps": torch.cat([torch.as_tensor(one.logps, dtype=torch.float32) for one in flat]),
            "lengths": torch.tensor([len(one.tokens) for one in flat]),
            "finished": torch.tensor([int(one.finished) for one in flat]),
            "samples": torch.tensor([len(row) for row in answers]),
        }

    def state(self) -> Mapping[str, Any]:
        """Of which step they are, and which weights drew them."""
        return {"step": self.step, "drawn_at": self._drawn_at}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take over the answers of a checkpoint."""
        self._wait = None
        if state["step"] is None:
            return
        self._step, self._drawn_at = int(state["step"]), int(state["drawn_at"])
        lengths = tensors["lengths"].tolist()
        tokens, logps = (tensors[name].split(lengths) for name in ("tokens", "logps"))
        rows = zip(tokens, logps, tensors["finished"].tolist(), strict=True)
        flat = iter([Generation(one.numpy(), logp.numpy(), bool(ended)) for one, logp, ended in rows])
        answers = [[next(flat) for _ in range(count)] for count in tensors["samples"].tolist()]
        self._wait = lambda: answers
