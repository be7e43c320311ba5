"""Engines in processes of their own, and the engine that shares prompts out over them.

A call to an engine process carries all that it needs: how to open the model, which weights, the prompts with their
numbers. So an engine that was killed is started anew by Ray, given the same call again, and nothing else notices.
"""

from __future__ import annotations

import math
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from torch import Tensor

from assent.cluster import place
from assent.core.errors import AssentError, RunError
from assent.core.group import TokenIds
from assent.generation.config import Sampling
from assent.generation.engine import Engine, EngineLost, Generation, Weights
from assent.learner import peers
from assent.learner.fsdp import ShardedLearner

RETRIES = 3
"""How often a call is given again after its engine, or a process that this one draws with, died under it."""
_BUCKET = 256 * 2**20
"""Bytes of weights that are handed over at a time."""
Open = Callable[[], Engine]
"""Opens an engine on the model that the learner started from; it can be pickled."""
Packed = dict[str, tuple[str, NDArray[Any]]]
"""Weights by name: the type, and an array that Ray shares without a copy."""


@dataclass(frozen=True)
class HandedOver:
    """Weights in Ray's object store, in buckets; `version` is that of the learner."""

    name: str = ""
    version: int = 0
    buckets: tuple[Any, ...] = ()

    def weights(self) -> dict[str, Tensor]:
        """All of them, as tensors that must not be written to."""
        return {name: one for bucket in self.buckets for name, one in _unpacked(ray.get(bucket)).items()}


@dataclass(frozen=True)
class Call:
    """What an engine process is asked."""

    opening: str
    """Names what `open` opens."""
    open: Open
    weights: HandedOver
    prompts: tuple[TokenIds, ...]
    numbers: tuple[int, ...]
    """Of the prompts in the whole list: the random numbers hang on them."""
    settings: Mapping[str, Any] = field(default_factory=dict)


class EngineProcess:
    """The actor: one engine, opened and supplied with weights as calls want it."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._opened = self._holds = ""

    def answer(self, call: Call) -> tuple[list[list[Generation]], dict[str, float]]:
        """Answers to the prompts of a call, and what the engine has to say of its work."""
        if self._engine is None or self._opened != call.opening:
            self._engine = None  # two models need not fit
            self._engine, self._opened, self._holds = call.open(), call.opening, ""
        for _ in range(RETRIES):
            try:
                return self._answer(self._engine, call)
            except EngineLost:
                continue  # it opens anew what it lost
        return self._answer(self._engine, call)

    def _answer(self, engine: Engine, call: Call) -> tuple[list[list[Generation]], dict[str, float]]:
        if call.weights.name != self._holds:
            engine.load_weights(call.weights, version=call.weights.version)
            self._holds = call.weights.name
        answers = engine.generate(call.prompts, numbers=call.numbers, **call.settings)
        return answers, dict(engine.facts())


class SharedEngine:
    """Shares prompts out over the engines of the cluster. Answers are those of one engine alone, up to rounding.

    Where several processes train together, all call it together; the first asks, and all are told.
    """

    def __init__(self, opening: str, open: Open, *, is_exact: bool) -> None:
        self._opening, self._open, self.is_exact = opening, open, is_exact
        self._weights = HandedOver()
        self._facts: dict[str, float] = {}
        self.version = 0

    def load_weights(self, source: Weights, *, version: int) -> None:
        """Put the trained weights where engines find them; an engine takes them with its next call."""
        # One by one where the source can, since not all of them need fit at once.
        each = source.each_weight() if isinstance(source, ShardedLearner) else iter(source.weights().items())
        if peers.is_first():
            self._weights = HandedOver(uuid.uuid4().hex, version, tuple(_put(each)))
        else:
            deque(each, maxlen=0)
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
        """Draw `num_samples` answers to each prompt; see `Engine.generate`. Nobody reads along."""
        settings = {"num_samples": num_samples, "sampling": sampling, "seed": seed}
        return self.begin(prompts, settings, numbers=numbers, on_progress=on_progress)()

    def begin(
        self,
        prompts: Sequence[TokenIds],
        settings: Mapping[str, Any],
        *,
        numbers: Sequence[int] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Callable[[], list[list[Generation]]]:
        """Let the engines begin, with the weights as they are; what comes back waits for the answers."""
        given = range(len(prompts)) if numbers is None else numbers
        asked = self._asked(prompts, given, settings) if peers.is_first() and prompts else {}

        def finish() -> list[list[Generation]]:
            found, self._facts = peers.from_first(
                lambda: _collected(asked, len(prompts), int(settings["num_samples"]), on_progress)
            )
            return found

        return finish

    def facts(self) -> dict[str, float]:
        """The mean of what the engines said of the last call."""
        return dict(self._facts)

    def _asked(
        self, prompts: Sequence[TokenIds], numbers: Sequence[int], settings: Mapping[str, Any]
    ) -> dict[Any, tuple[int, ...]]:
        """The answers to come, each with the places of its prompts: dealt out one by one, so that all have as many."""
        engines = place.engines()
        asked = {}
        for n, engine in enumerate(engines):
            places = tuple(range(n, len(prompts), len(engines)))
            if places:
                some, called = tuple(prompts[i] for i in places), tuple(numbers[i] for i in places)
                call = Call(self._opening, self._open, self._weights, some, called, settings)
                asked[engine.answer.remote(call)] = places
        return asked


def _collected(
    asked: Mapping[Any, tuple[int, ...]], count: int, samples: int, on_progress: Callable[[int], None] | None
) -> tuple[list[list[Generation]], dict[str, float]]:
    found: list[list[Generation]] = [[] for _ in range(count)]
    told: list[dict[str, float]] = []
    waiting = list(asked)
    while waiting:
        [ready], waiting = ray.wait(waiting, num_returns=1)
        answers, facts = _got(ready)
        told.append(facts)
        for place_of, row in zip(asked[ready], answers, strict=True):
            found[place_of] = row
        if on_progress is not None:
            on_progress(len(answers) * samples)
    return found, _means(told)


def _got(reference: Any) -> Any:
    """What an engine said. Raises RunError where it died again and again."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, AssentError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise RunError(
            f"an engine died {RETRIES + 1} times under the same prompts ({str(error).splitlines()[0]}); look into its"
            " log (in Ray's session folder, or with `ray logs`), give it more memory, or lower compute.max_live_rows"
        ) from error


def _means(told: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for facts in told for name in facts)
    known = {name: [f[name] for f in told if name in f and not math.isnan(f[name])] for name in names}
    return {name: sum(values) / len(values) if values else math.nan for name, values in known.items()}


def _put(weights: Any) -> Iterator[Any]:
    """Lay weights into the object store, some at a time."""
    bucket: Packed = {}
    size = 0
    for name, weight in weights:
        array = _array(weight)
        bucket[name] = str(weight.dtype).removeprefix("torch."), array
        size += array.nbytes
        if size >= _BUCKET:
            yield ray.put(bucket)
            bucket, size = {}, 0
    if bucket:
        yield ray.put(bucket)


def _array(weight: Tensor) -> NDArray[Any]:
    own = weight.detach().cpu().contiguous()
    found: NDArray[Any] = own.view(torch.int16).numpy() if own.dtype == torch.bfloat16 else own.numpy()
    return found


def _unpacked(bucket: Packed) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return {name: _tensor(kind, np.asarray(array)) for name, (kind, array) in bucket.items()}


def _tensor(kind: str, array: NDArray[Any]) -> Tensor:
    own = torch.from_numpy(array)
    return own.view(torch.bfloat16) if kind == "bfloat16" else own
