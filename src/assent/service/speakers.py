"""Speakers: policies that answer in conversations on the web pages, loaded when they are first asked."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from assent.artifacts.find import model_folder
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


def refuse_missing(found: Mapping[str, LocalSpeaker]) -> None:
    """Raise UserError where a model is nowhere: no folder, artifact, round or run, and nothing that the hub knows.

    No weights are read. A hub id whose files are on this machine already is not asked about.
    """
    for name, speaker in found.items():
        if isinstance(model_folder(speaker.source), Path) or is_on_hub(speaker.source):
            continue
        raise UserError(
            f"--model {name}={speaker.source}: there is no such model folder, run or round here, and the hub does not"
            " give it; write --model new=runs/x/round-1, a folder, or a hub id"
        )


def is_on_hub(model: str) -> bool:
    """Whether the hub has a model of this id, or its files are on this machine already."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        if not isinstance(try_to_load_from_cache(model, "config.json"), str):
            get_hf_file_metadata(hf_hub_url(model, "config.json"), timeout=5)
    except (HFValidationError, HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError, OSError):
        return False
    return True


def _opened(source: str, model: ModelConfig) -> Writer:
    # Imported when a model is first asked: a service without models never loads torch.
    from assent.pipeline.backends import Backends

    return Backends(model, ComputeConfig(max_live_rows=1)).writer_named(source)
