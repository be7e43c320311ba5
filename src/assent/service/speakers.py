"""Speakers: policies that answer in conversations on the web pages, loaded when they are first asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from assent.core.errors import UserError
from assent.core.types import Message
from assent.generation.config import Sampling
from assent.models.config import ModelConfig

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
    _policy: object | None = None

    def reply(self, messages: Sequence[Message], seed: int) -> str:
        """The next turn. The oldest exchanges are forgotten where all is too long. Raises UserError."""
        from assent.service.chat import Speaker

        with _ONE:
            if self._policy is None:
                self._policy = Speaker.load(self.source, self.model)
            assert isinstance(self._policy, Speaker)
            self._policy.turns = tuple(messages[:-1])
            return self._policy.answer(messages[-1].content, self.sampling, seed=seed, on_text=lambda _: None)


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
