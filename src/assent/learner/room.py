"""Room: how many real tokens a model computes at once, found out where memory ends; nothing is lost but time.

Where a device has no memory left, the micro-batch is cut to half its tokens and computed again, and so are later ones.
Backward may have added to the gradient before it ended, so the whole step begins anew: what was accumulated is dropped
and computed again. Every objective is a sum that is divided once, so the result is the same up to rounding.

Where several processes compute a pass together, all of them cut and begin anew where memory ends on one.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from assent.algorithms.objective import Weighted, merge_metrics
from assent.learner import agreement
from assent.models.cutting import cut
from assent.models.groups import GroupBatch

_log = logging.getLogger(__name__)
Output = TypeVar("Output")
Part = tuple[Mapping[str, Weighted], Output]
Compute = Callable[[Sequence[GroupBatch]], list[Part[Output]]]

METRIC = "out_of_memory"
"""How often memory ended in a step, among its metrics."""


class Room:
    """The most tokens that one model computes at once; None: no limit is known."""

    def __init__(self, most: int | None = None, *, is_shared: bool = False) -> None:
        """`is_shared`: several processes compute each pass together, and must all be given the same batches."""
        self.most = most
        self.halvings = 0
        self._is_shared = is_shared
        self._done: list[tuple[Sequence[GroupBatch], Compute[Any]]] = []

    def passes(
        self, batches: Sequence[GroupBatch], compute: Compute[Output], *, forget: Callable[[], None]
    ) -> list[Part[Output]]:
        """What `compute` gives for each batch, cut where there is no room; `forget` drops the gradient so far.

        Earlier passes of the same step are made again where memory ends in this one. Raises the device's own error
        where a single group has no room.
        """
        before = self.halvings
        while isinstance(smaller := self._try(batches, compute), _Ended):
            again = list(self._done)
            forget()
            self._done = []
            _give_back()
            for earlier, other in again:
                self.passes(earlier, other, forget=forget)
        self._done.append((batches, compute))
        if self.halvings > before and smaller:
            (metrics, output), *others = smaller
            counted = {METRIC: Weighted(float(self.halvings - before), 1.0)}
            smaller = [({**metrics, **counted}, output), *others]
        return smaller

    def scores(self, batches: Sequence[GroupBatch], outputs: Callable[[GroupBatch], Output]) -> list[Output]:
        """What `outputs` gives for each batch, without gradient."""

        def compute(parts: Sequence[GroupBatch]) -> list[Part[Output]]:
            return [({}, outputs(part)) for part in parts]

        return [self.answers([batch], compute)[0] for batch in batches]

    def answers(
        self, batches: Sequence[GroupBatch], compute: Compute[Output], *, forget: Callable[[], None] = lambda: None
    ) -> list[Output]:
        """What `compute` gives for each batch, without gradient and metrics; all of it anew where memory ends."""
        while isinstance(found := self._try(batches, compute), _Ended):
            forget()
            _give_back()
        return [output for _, output in found]

    def clear(self) -> None:
        """A step is over."""
        self._done.clear()

    def _all(self, batches: Sequence[GroupBatch], compute: Compute[Output]) -> list[Part[Output]]:
        cuts = [cut(batch, self.most) for batch in batches]
        parts = iter(compute([part for own in cuts for part in own]))
        found = [_joined([next(parts) for _ in own]) for own in cuts]
        if self._is_shared:
            agreement.agree()
        return found

    def _try(self, batches: Sequence[GroupBatch], compute: Compute[Output]) -> list[Part[Output]] | _Ended:
        """What `compute` gives; `_Ended` where memory ended, here or elsewhere, and there is something to cut."""
        try:
            return self._all(batches, compute)
        except agreement.EndedElsewhere:
            if not self._halve(batches):
                raise torch.OutOfMemoryError("another learner ran out of memory with a single group") from None
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            if self._is_shared:
                agreement.agree(agreement.NO_MEMORY)
            if not self._halve(batches):
                raise
        # Outside of the except: the error holds what the pass had in memory.
        return _Ended()

    def _halve(self, batches: Sequence[GroupBatch]) -> bool:
        """Lower the limit to half of the largest part; False where none can be cut."""
        largest = max(part.num_tokens for batch in batches for part in cut(batch, self.most))
        lower = max(largest // 2, 1)
        if max(len(cut(batch, lower)) for batch in batches) <= max(len(cut(batch, self.most)) for batch in batches):
            return False
        self.most = lower
        self.halvings += 1
        _log.warning(
            "out of memory with %d tokens at once: from here on at most %d (time %d for this model); results are the"
            " same up to rounding, and tokens_per_microbatch: %d would save the time",
            *(largest, lower, self.halvings, lower),
        )
        return True


def _joined(parts: Sequence[Part[Output]]) -> Part[Output]:
    if len(parts) == 1:
        return parts[0]
    return merge_metrics(metrics for metrics, _ in parts), joined([output for _, output in parts])


class _Ended:
    """Memory ended, and a smaller part is worth a try."""


def ran_out(error: BaseException) -> bool:
    """Whether an error says that a device or the machine has no memory left."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in said


def joined(outputs: Sequence[Output]) -> Output:
    """What a model said of the parts of a batch, as if of the whole: tensors end to end, tuples field by field."""
    first: Any = outputs[0]
    if len(outputs) == 1 or first is None:
        return outputs[0]
    if isinstance(first, Tensor):
        whole: Any = torch.cat(list(outputs))  # type: ignore[arg-type]
        return whole
    fields = [joined(field) for field in zip(*outputs, strict=True)]  # type: ignore[call-overload]
    made: Any = type(first)(*fields) if hasattr(first, "_fields") else tuple(fields)
    return made


def _give_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
