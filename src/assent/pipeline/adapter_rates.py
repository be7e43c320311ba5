"""Learning rates of adapters: ten times those of training all weights, where a run leaves them open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assent.core.config import Config
from assent.learner.config import OptimizerConfig
from assent.training.config import methods

ADAPTER_RATE = 10.0
"""Factor on the default learning rates where only adapters train (Schulman et al. 2025, "LoRA without regret")."""


def with_adapter_rates(given: Any, default: Config) -> Any:
    """A stage's settings, a config or a mapping, with every learning rate that they leave open raised for adapters."""
    if isinstance(given, Config):
        raised = {
            name: {"learning_rate": rate}
            for name, rate in adapter_rates(type(given))
            if name not in given.model_fields_set
        }
        return given.model_copy(
            update={name: getattr(given, name).model_copy(update=rate) for name, rate in raised.items()}
        )
    if isinstance(given, Mapping):
        rates = dict(adapter_rates(methods().get(str(given.get("kind")), type(default))))
        said = {name: given.get(name, {}) for name in rates}
        laid = {name: {"learning_rate": rates[name], **one} for name, one in said.items() if isinstance(one, Mapping)}
        return {**given, **laid}
    return given


def adapter_rates(config: type[Config]) -> Iterator[tuple[str, float]]:
    """The optimizers among the settings of a stage, each with its default learning rate for adapters."""
    for name, field in config.model_fields.items():
        if isinstance(field.default, OptimizerConfig):
            yield name, ADAPTER_RATE * field.default.learning_rate
