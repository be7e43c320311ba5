"""Speakers: policies that answer in conversations on the web pages, loaded when they are first asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from assent.core.errors import UserError
from assent.core.types import Message
from assent.generation.config import Sampling
from assent.generation.writer import Writer, newest_turns
from assent.models.config import ModelConfig
from assent.pipeline.config import ComputeConfig

SAMPLING = Sampling(temperature=0.8, max_new_tokens=256)
"""How they answer."""
_ONE = threading.Lock()  # a model generates for one conversation at a time, and models share the machine


@dataclass
class LocalSpeaker:
    """A policy under a name; `source` is what `assent chat` takes: runs/x/round-2, a model folder or a hub id."""

    name: str
    source: str
    model: ModelConfig = field(default_factory=ModelConfig)
    sampling: Sampling = SAMPLING
    _writer: Writer | None = None

    def reply(self, messages: Sequence[Message], seed: int) -> str:
        """The next turn. The oldest exchanges are forgotten where all is too long. Raises UserError."""
        with _ONE:
            if self._writer is None:
                self._writer = _opened(self.source, self.model)
            turns = newest_turns(self._writer, messages, self.sampling)
            [[written]] = self._writer.write([turns], num_samples=1, sampling=self.sampling, seed=seed)
        return written.text


def speakers(models: Sequence[str]) -> dict[str, LocalSpeaker]:
    """Speakers from NAME=PATH texts. Raises UserError for one that is not of this form, or a name given twice."""
    found: dict[str, LocalSpeaker] = {}
    for text in models:
        name, sign, source = text.partition("=")
        if not sign or not name.strip() or not source.strip():
            raise UserError(f"--model {text!r} is not of the form NAME=PATH; write --model new=runs/x/round-1")
        if name in found:
            raise UserError(f"--model names {name!r} twice; give each model its own name")
        found[name] = LocalSpeaker(name, source)
    return found


def _opened(source: str, model: ModelConfig) -> Writer:
    # Imported when a model is first asked: a service without models never loads torch.
    from assent.pipeline.backends import Backends

    return Backends(model, ComputeConfig(max_live_rows=1)).writer_named(source)
