"""A small random model with room for a judge's questions, and tasks to judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assent.core.types import Completion, Prompt, Task
from assent.models.config import ModelConfig
from assent.models.tiny import save_tiny
from assent.pipeline.autoraters import open_autorater
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.raters.autorater import LogitJudge
from assent.raters.config import AutoraterConfig


def save_judge(folder: Path, *, family: str = "llama", context: int = 6000, seed: int = 0) -> Path:
    """A tiny model of rotary positions, which may be told any context."""
    save_tiny(folder, family, seed=seed)
    file = folder / "config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"max_position_embeddings": context}))
    return folder


def open_judge(folder: Path, *, attention: str = "auto", **settings: Any) -> LogitJudge:
    """The judge of a folder, as a run opens it."""
    config = AutoraterConfig.parse({"backend": {"kind": "local", "path": str(folder)}, **settings})
    model = ModelConfig.parse({"attention": attention})
    return open_autorater(config, next(config.ids("train", 0)), Backends(model, ComputeConfig()))


def asked(name: str, *texts: str, prompt: Prompt | None = None) -> Task:
    """A task of these answers, with ids name0, name1, …"""
    prompt = prompt or Prompt.of(f"What about {name}?")
    answers = tuple(Completion(prompt_id=prompt.id, text=x, id=f"{name}{i}") for i, x in enumerate(texts))
    return Task(id=name, prompt=prompt, completions=answers)
