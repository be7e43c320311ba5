"""What is refused before anything is run: settings that cannot work, and what they name and this machine has not."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from assent.core.errors import ConfigError
from assent.core.findings import Finding, error
from assent.data.rows import parts
from assent.generation import vllm_honours
from assent.pipeline.config import FileData, RunConfig
from assent.pipeline.constitution_config import ReviseConfig
from assent.pipeline.places import refuse_missing, sources_of
from assent.raters.config import ConstitutionConfig, SimulatedConfig, no_truth
from assent.training.code_reward import CodeRewardConfig
from assent.training.on_policy_config import OnPolicyConfig


def refuse_settings(config: RunConfig) -> None:
    """Raise ConfigError where the settings cannot work on any machine. No model is loaded, and nothing is run."""
    if config.gate is not None:
        from assent.pipeline.gating import refuse_gate  # all suites come along

        refuse_gate(config)
    for found in raters_without_truth(config):
        raise ConfigError(found.line)
    config.method.refuse()
    refuse_constitutions(config)


def refuse_absent(config: RunConfig) -> None:
    """Raise ConfigError for a file, a folder, a function, a package or a sandbox that is not there."""
    refuse_missing(config)
    config.sample.with_axes()
    for found in quantizing_without(config):
        raise ConfigError(f"{found.key} {found.message}: {found.fix}")
    if config.compute.engine == "vllm":
        vllm_honours.refuse_absent()
    for _, term in code_rewards(config):
        term.open()


def refuse_unread(data: FileData) -> None:
    """Raise DataError for the first source of which no file can be read: before a plan says that it would be."""
    for sources in sources_of(data).values():
        for source in sources:
            parts(source)


def refuse_constitutions(config: RunConfig) -> None:
    """Raise ConfigError where a constitution of the run cannot be used."""
    raters = None if config.collect is None else config.collect.raters
    ai = None if config.collect is None or config.collect.ai is None else config.collect.ai.raters
    for one in (config.constitution, raters, ai, config.judges):
        if isinstance(one, ReviseConfig | ConstitutionConfig):
            _ = one.loaded


def raters_without_truth(config: RunConfig) -> Iterator[Finding]:
    """Simulated people where the texts are not of the lab; the questions of suites never are."""
    collect = None if config.collect is None else config.collect.raters
    own = None if config.evaluate is None else config.evaluate.raters
    of_the_run = {} if config.lab is not None else {"collect.raters": collect, "evaluate.raters": own}
    for key, raters in {**of_the_run, "suites_judge": config.suites_judge}.items():
        if isinstance(raters, SimulatedConfig):
            yield no_truth(key)


def quantizing_without(config: RunConfig) -> Iterator[Finding]:
    """Quantized weights where their package is not installed."""
    if config.model.quantize is not None and importlib.util.find_spec("bitsandbytes") is None:
        yield error("model.quantize", "needs bitsandbytes, which is not installed", "pip install 'assent[quantized]'")


def code_rewards(config: RunConfig) -> Iterator[tuple[str, CodeRewardConfig]]:
    """Rewards that run code, with the keys that they stand under."""
    terms = config.optimize.rewards if isinstance(config.optimize, OnPolicyConfig) else ()
    for place, term in enumerate(terms):
        if isinstance(term, CodeRewardConfig):
            yield f"optimize.rewards[{place}]", term
