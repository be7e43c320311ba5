"""`assent chat`: talk to a policy in the terminal, or to two side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from assent.core import seeds
from assent.core.config import Config
from assent.core.errors import UserError
from assent.core.terminal import safe
from assent.core.types import Message
from assent.generation.best_of import BestOf
from assent.generation.config import Sampling
from assent.generation.writer import Writer, newest_turns
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig

HELP = "/new starts over, /quit or Ctrl-D ends"


class ChatConfig(Config):
    """How to talk."""

    model: ModelConfig = ModelConfig()
    """How the models are loaded."""
    sampling: Sampling = Sampling(temperature=0.7, max_new_tokens=256)
    """How answers are drawn."""


@dataclass
class Side:
    """A model with its side of the conversation."""

    writer: Writer
    turns: tuple[Message, ...] = ()

    @classmethod
    def load(cls, name: str, model: ModelConfig) -> Side:
        """Load what `find.model_folder` finds under a name. Raises UserError."""
        return cls(Backends(model, ComputeConfig(max_live_rows=1)).writer_named(name))

    @property
    def name(self) -> str:
        """That of its model."""
        return self.writer.name

    def answer(self, said: str, sampling: Sampling, *, seed: int, on_text: Callable[[str], None]) -> str:
        """Answer a message; `on_text` is shown the whole answer so far at each token. Raises UserError if too long."""
        turns = newest_turns(self.writer, (*self.turns, Message(role="user", content=said)), sampling)
        [[written]] = self.writer.write(
            [turns], num_samples=1, sampling=sampling, seed=seed, on_token=lambda so_far: on_text(so_far())
        )
        self.turns = (*turns, Message(role="assistant", content=written.text))
        return written.text


def best_of_writer(policy: str, model: ModelConfig, *, n: int, reward: str | None) -> BestOf:
    """A policy whose best of n answers are given, by a reward model: that of the policy's round where none is named.

    Raises UserError where a name is no model.
    """
    backends = Backends(model, ComputeConfig(max_live_rows=n))
    return backends.best_of(n, backends.writer_named(policy), f"{policy}/reward" if reward is None else reward)


def chat_loop(policy: str | Writer, config: ChatConfig, *, against: str | None = None, seed: int = 0) -> None:
    """Read messages from the keyboard, or the lines of a pipe, and write answers until /quit or the end of input.

    Raises UserError where a name is no model.
    """
    named = [policy] if against is None else [policy, against]
    sides = [Side.load(one, config.model) if isinstance(one, str) else Side(one) for one in named]
    console = Console(highlight=False, emoji=False)
    _say(console, f"{' against '.join(side.name for side in sides)}  ({HELP})")
    converse(console, sides, _ask(sys.stdin), config.sampling, seed=seed)


def converse(
    console: Console, sides: Sequence[Side], lines: Iterable[str], sampling: Sampling, *, seed: int = 0
) -> None:
    """Let every side answer each line; answer n is drawn from the stream (seed, "chat", n)."""
    number = 0
    for line in lines:
        said = line.strip()
        if said in ("/quit", "/exit"):
            return
        if said == "/new":
            for side in sides:
                side.turns = ()
            _say(console, "a new conversation")
        elif said.startswith("/"):
            _say(console, f"{safe(said)} is no command: {HELP}")
        elif said:
            number += 1
            try:
                _exchange(console, sides, said, sampling, seeds.derive(seed, "chat", number))
            except UserError as problem:
                _say(console, str(problem))
            except KeyboardInterrupt:
                _say(console, "")
                return


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _exchange(console: Console, sides: Sequence[Side], said: str, sampling: Sampling, seed: int) -> None:
    if len(sides) == 1:
        _stream(console, sides[0], said, sampling, seed)
    else:
        _side_by_side(console, sides, said, sampling, seed)


def _stream(console: Console, side: Side, said: str, sampling: Sampling, seed: int) -> None:
    """Write the answer as it comes."""
    out, shown = console.file, ""

    def show(text: str) -> None:
        nonlocal shown
        if text.startswith(shown) and len(text) > len(shown):
            out.write(safe(text[len(shown) :]))
            out.flush()
            shown = text

    text = side.answer(said, sampling, seed=seed, on_text=show)
    if text.startswith(shown):
        out.write(safe(text[len(shown) :]) + "\n")
    else:
        # The end of an answer may change how its beginning reads (a template's frame is taken off).
        out.write("\n" if shown.startswith(text) else f"\n{safe(text)}\n")
    out.flush()


def _side_by_side(console: Console, sides: Sequence[Side], said: str, sampling: Sampling, seed: int) -> None:
    """Both answers in two columns; in a terminal they grow as they come."""
    answers = ["" for _ in sides]

    def table() -> Table:
        columns = Table(expand=True)
        for side in sides:
            columns.add_column(Text(side.name), ratio=1)
        columns.add_row(*(Text(safe(answer)) for answer in answers))
        return columns

    def answer_all() -> None:
        for place, side in enumerate(sides):

            def show(text: str, place: int = place) -> None:
                answers[place] = text

            answers[place] = side.answer(said, sampling, seed=seed, on_text=show)

    if console.is_terminal:
        with Live(console=console, get_renderable=table):
            answer_all()
    else:
        answer_all()
        console.print(table())


def _ask(stream: TextIO) -> Iterator[str]:
    """Messages from the keyboard with a prompt, or the lines of a pipe."""
    if not stream.isatty():
        yield from stream
        return
    while True:
        try:
            yield input("> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
