"""Targets: what is attacked, and the ledger of everything it was asked, by which a hunt that was stopped goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assent.core import files, seeds
from assent.core.errors import DataError, UserError
from assent.core.hashing import hash_json, short
from assent.core.types import Message, Prompt
from assent.generation.config import Sampling
from assent.generation.writer import Writer
from assent.redteam.script import Script


class Target(Protocol):
    """Whoever is attacked."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    def answers(self, prompts: Sequence[Prompt], *, seed: int) -> Sequence[str | None]:
        """One answer to each prompt, in their order; None where a prompt leaves no room for one."""
        ...


@dataclass(frozen=True)
class WriterTarget:
    """A writer as a target."""

    writer: Writer
    sampling: Sampling

    @property
    def name(self) -> str:
        """The writer's."""
        return self.writer.name

    def answers(self, prompts: Sequence[Prompt], *, seed: int) -> list[str | None]:
        """Its answers; see `Target`."""
        wanted = self.sampling.max_new_tokens
        fits = [(room := self.writer.room(one)) is None or room >= wanted for one in prompts]
        asked = [one for one, is_short in zip(prompts, fits, strict=True) if is_short]
        written = self.writer.write(asked, num_samples=1, sampling=self.sampling, seed=seed) if asked else []
        rows = iter(written)
        return [next(rows)[0].text if is_short else None for is_short in fits]


class Ledger:
    """Asks a target, at most `budget` times, and writes down what it said, a batch a line.

    The same questions in the same order are answered from the file, so a hunt that was stopped is simply begun again.
    """

    def __init__(
        self, target: Target, *, seed: int, budget: int, path: Path | None = None, settings: object = None
    ) -> None:
        self.target, self.budget = target, budget
        self.used = self.known = 0
        self._seed, self._path, self._batches = seed, path, 0
        self._read: list[tuple[str, list[str | None]]] = []
        self._head = short(hash_json([target.name, seed, budget, settings]))
        if path is not None:
            self._open(path)

    @property
    def left(self) -> int:
        """How often the target may still be asked."""
        return self.budget - self.used

    def answers(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """The target's answers. Raises ValueError where they would cost more than is left."""
        if len(prompts) > self.left:
            raise ValueError(f"{len(prompts)} questions cost more than the {self.left} that are left")
        number, self._batches = self._batches, self._batches + 1
        self.used += len(prompts)
        asked = short(hash_json([[[m.role, m.content] for m in one.messages] for one in prompts]))
        if number < len(self._read):
            before, answers = self._read[number]
            if before != asked:
                raise UserError(
                    f"{self._path} holds answers to other questions, from batch {number + 1} on; choose another folder"
                )
            self.known += len(prompts)
            return answers
        answers = list(self.target.answers(prompts, seed=seeds.derive(self._seed, "target", number)))
        if self._path is not None:
            self._append({"asked": asked, "answers": answers})
        return answers

    def _open(self, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            files.make_private(path)
            self._append({"settings": self._head})
            return
        lines = path.read_text(encoding="utf-8").split("\n")
        whole, torn = lines[:-1], lines[-1]
        try:
            rows = [json.loads(line) for line in whole]
            head = rows[0]["settings"] if rows else None
            self._read = [(row["asked"], list(row["answers"])) for row in rows[1:]]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"no ledger of a red team ({type(error).__name__}); choose another folder", path=path
            ) from None
        if torn:  # the write of the last line was cut: its batch is asked again
            files.write_text(path, "".join(line + "\n" for line in whole), is_private=True)
        if head is None:
            self._append({"settings": self._head})
        elif head != self._head:
            raise UserError(f"{path} is of a hunt with other settings; give the same ones again, or another folder")

    def _append(self, row: object) -> None:
        assert self._path is not None
        with files.disk_errors(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=True) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


@dataclass(frozen=True)
class Played:
    """A script that was played: everything that was said before the end, and the answer that counts."""

    script: Script
    messages: tuple[Message, ...]
    answer: str | None
    """None where the script left no room for an answer."""

    @property
    def prompt(self) -> Prompt:
        """What was answered in the end."""
        return Prompt(messages=self.messages)


def play(scripts: Sequence[Script], ask: Callable[[Sequence[Prompt]], Sequence[str | None]]) -> list[Played]:
    """Play scripts side by side: at every step all that wait for the target are asked together."""
    said: list[tuple[str, ...]] = [() for _ in scripts]
    shown: list[tuple[Message, ...]] = [_next(script, ()) for script in scripts]
    ends: list[str | None] = [None] * len(scripts)
    waiting = list(range(len(scripts)))
    while waiting:
        answers = ask([Prompt(messages=shown[i]) for i in waiting])
        still = []
        for i, answer in zip(waiting, answers, strict=True):
            if answer is None or len(said[i]) == scripts[i].calls - 1:
                ends[i] = answer
                continue
            said[i] = (*said[i], answer)
            shown[i] = _next(scripts[i], said[i])
            still.append(i)
        waiting = still
    return [Played(*one) for one in zip(scripts, shown, ends, strict=True)]


def _next(script: Script, said: tuple[str, ...]) -> tuple[Message, ...]:
    messages = script.messages(said)
    assert messages is not None
    return messages
