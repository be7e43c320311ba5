"""Drawing: a model answers prompts while people rate already; every answered prompt becomes a task at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assent.core import seeds
from assent.core.errors import AssentError, UserError
from assent.core.hashing import hash_json, short
from assent.core.types import MAX_ANSWERS, Prompt, Task
from assent.data.config import Source
from assent.data.load import load_prompts
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.generation.config import Sampling
from assent.generation.writer import Written
from assent.models.config import ModelConfig
from assent.pipeline.config import ComputeConfig
from assent.service.intake import ensure_project, queue

BATCH = 8
"""Prompts answered together; the first is answered alone, so that somebody can begin."""


@dataclass(frozen=True)
class Draw:
    """What is drawn: `answers` to each prompt of a file from a model, into a project."""

    model: str
    prompts: Path
    project: str
    answers: int = 4
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=128)
    seed: int = 0

    def task_id(self, prompt: Prompt) -> str:
        """The same draw has the same tasks."""
        what = [self.project, self.model, prompt.id, self.answers, self.sampling.model_dump(mode="json"), self.seed]
        return "t-" + short(hash_json(what))


def read_prompts(draw: Draw) -> list[Prompt]:
    """The prompts of a draw. Raises DataError."""
    prompts, _ = load_prompts([Source(path=draw.prompts)])
    if not 2 <= draw.answers <= MAX_ANSWERS:
        raise UserError(f"--answers {draw.answers} cannot be ranked; take 2 to {MAX_ANSWERS}")
    return list({prompt.id: prompt for prompt in prompts}.values())


class Drawing:
    """A draw in the background; what an earlier one has drawn is not drawn again. Use as a context manager.

    Raises DataError at once where the prompts cannot be read.
    """

    def __init__(self, store_url: str, draw: Draw, *, say: Callable[[str], None]) -> None:
        self._url, self._draw, self._say = store_url, draw, say
        self._prompts = read_prompts(draw)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="drawing")

    def __enter__(self) -> Drawing:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop at the next token: a process may not end under a model at work."""
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        draw = self._draw
        try:
            with Store.open(self._url) as store:
                ensure_project(store, draw.project, now=time.time())
                note(store.events, "rate", about="samples", project=draw.project)
                known = store.tasks([draw.task_id(prompt) for prompt in self._prompts])
                left = [prompt for prompt in self._prompts if draw.task_id(prompt) not in known]
                added = 0
                for tasks in self._drawn(left):
                    added += queue(store, tasks, now=time.time()).new if tasks else 0
            self._say(f"{added} tasks sampled from {draw.model} into project {draw.project}")
        except _Over:
            pass
        except AssentError as problem:
            self._say(f"sampling from {draw.model} stopped: {problem}")

    def _drawn(self, prompts: Sequence[Prompt]) -> Iterator[list[Task]]:
        """Tasks, batch by batch. Prompts that leave no room for an answer, or get one answer only, make none."""
        if not prompts:
            return
        from assent.pipeline.backends import Backends, machine

        draw, compute = self._draw, ComputeConfig()
        with machine(compute):
            writer = Backends(ModelConfig(), compute).writer_named(draw.model)
            for batch in _batches(prompts):
                fitting = [p for p in batch if writer.room(p) >= draw.sampling.max_new_tokens]
                rows = writer.write(
                    fitting,
                    num_samples=draw.answers,
                    sampling=draw.sampling,
                    seed=seeds.derive(draw.seed, "draw", batch[0].id),
                    on_token=self._go_on,
                )
                made = [_task(draw, prompt, row) for prompt, row in zip(fitting, rows, strict=True)]
                yield [task for task in made if task is not None]

    def _go_on(self, _: object) -> None:
        if self._is_over.is_set():
            raise _Over


class _Over(Exception):
    """Nobody waits for the answers any more."""


def _batches(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    yield prompts[:1]
    for start in range(1, len(prompts), BATCH):
        yield prompts[start : start + BATCH]


def _task(draw: Draw, prompt: Prompt, written: Sequence[Written]) -> Task | None:
    answers = [one.completion(prompt, source=draw.model) for one in written]
    distinct = {answer.text: answer for answer in answers if answer.text.strip()}
    if len(distinct) < 2:
        return None
    return Task(id=draw.task_id(prompt), prompt=prompt, completions=tuple(distinct.values()), project=draw.project)
