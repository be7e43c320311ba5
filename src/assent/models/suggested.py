"""How answers are to be drawn from a model, as those who made it say in its generation_config.json."""

from __future__ import annotations

import json
from pathlib import Path

from assent.core.errors import ModelError
from assent.models.lora import adapter_base, file_of

FILE = "generation_config.json"
_NAMES = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def suggested_sampling(path: str | Path, *, revision: str | None = None) -> dict[str, float]:
    """What the file states of how answers are drawn, by name; empty where it states nothing or is not there.

    An adapter without the file has its base's. A `top_k` of 0 leaves nothing out, so it states nothing. Raises
    ModelError for a file that holds no JSON object.
    """
    found = file_of(path, FILE, revision=revision)
    if found is None:
        base = adapter_base(path, revision=revision)
        return {} if base is None else suggested_sampling(base.path, revision=base.revision)
    try:
        values = dict(json.loads(found.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ModelError(f"{path}: {FILE} holds no JSON object; mend it, or leave it out") from None
    stated = {name: values[name] for name in _NAMES if isinstance(values.get(name), int | float)}
    return {name: value for name, value in stated.items() if name != "top_k" or value > 0}
