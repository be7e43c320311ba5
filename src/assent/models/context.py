"""How long a row may be: what a model's configuration says, also without its weights."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig, PretrainedConfig

from assent.core import hub
from assent.core.errors import ModelError
from assent.models import gguf
from assent.models.lora import adapter_base
from assent.models.quiet import quiet


def context_of(settings: PretrainedConfig) -> int:
    """Longest row that a model's positions allow.

    With LongRoPE it is the original context: beyond it, transformers picks other rotary factors for every row of a call
    by its longest one, so that what a row means would depend on its neighbours, and on when its cache was filled.
    """
    settings = settings.get_text_config()
    longest = int(getattr(settings, "max_position_embeddings", None) or 0)
    longest = longest if longest > 0 else 2**31 - 1  # XLNet says -1
    original = _original_context(settings)
    return longest if original is None else min(longest, original)


def read_context(path: str | Path, *, trust_remote_code: bool = False, revision: str | None = None) -> int:
    """The same of a model folder or hub id, or of the base of an adapter, from its configuration alone.

    Raises ModelError where it cannot be read.
    """
    where, commit = path, revision
    while (base := adapter_base(where, revision=commit)) is not None:
        where, commit = base.path, base.revision
    source, more = gguf.source_of(where)
    try:
        with quiet():
            settings = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code, revision=commit, **more)
    except hub.faults(ValueError, KeyError, ImportError) as error:
        said = f"its config.json cannot be read ({str(error).strip().splitlines()[0]})"
        raise ModelError(f"{where}: {said}; give a model folder or a hub id") from error
    return context_of(settings)


def _original_context(settings: PretrainedConfig) -> int | None:
    """The shortest original context of LongRoPE, in the config itself or in the rotary settings of a kind of layer."""
    rope = getattr(settings, "rope_parameters", None) or {}
    kinds = [rope, *(part for part in rope.values() if isinstance(part, dict))]
    longs = [part for part in kinds if part.get("rope_type") == "longrope"]
    named = [part.get("original_max_position_embeddings") for part in longs]
    named += [getattr(settings, "original_max_position_embeddings", None)] if longs else []
    return min((int(length) for length in named if length), default=None)
