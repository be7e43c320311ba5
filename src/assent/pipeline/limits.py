"""How long rows may be for each stage that reads them: asked where rows are gathered, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

from assent.core.config import Config
from assent.data.fit import Policy
from assent.pipeline.config import RunConfig


class RowLimit(Config):
    """The longest row of a stage, in tokens, and what becomes of longer ones."""

    key: str
    """The settings that it stands in, such as `sft`."""
    max_length: int | None
    """Tokens; None: the model's context."""
    too_long: Policy
    """What the stage does with longer ones."""

    @property
    def is_strict(self) -> bool:
        """Whether one longer row ends the run."""
        return self.too_long == "error"


class Room(Config):
    """The tokens that an answer to a prompt may take in a stage that has the policy answer."""

    key: str
    """The setting that says so."""
    tokens: int


def row_limits(config: RunConfig, part: str) -> Iterator[RowLimit]:
    """The limits of every stage that reads this part of the data; none for prompts and for a corpus, which is cut."""
    method = config.method
    match part:
        case "demonstrations":
            if config.sft is not None:
                yield RowLimit(key="sft", max_length=config.sft.max_length, too_long=config.sft.too_long)
            if "demonstrations" in method.wants:
                yield RowLimit(key="optimize.ptx", max_length=None, too_long="drop")
        case "comparisons":
            if config.reward is not None and config.fits_reward:
                yield RowLimit(key="reward", max_length=config.reward.max_length, too_long=config.reward.too_long)
            if (rows := method.ranked_rows()) is not None:
                yield RowLimit(key="optimize", max_length=rows.max_length, too_long=rows.too_long)


def training_rooms(config: RunConfig) -> Iterator[Room]:
    """Of every stage that has the policy answer prompts to learn from."""
    if config.constitution is not None:
        drawn = config.constitution.sampling
        yield Room(key="constitution.sampling.max_new_tokens", tokens=drawn.max_new_tokens)
    if config.collect is not None:
        yield Room(key="sample.sampling.max_new_tokens", tokens=config.sample.sampling.max_new_tokens)
    if (tokens := config.method.answers()) is not None:
        yield Room(key="optimize.sampling.max_new_tokens", tokens=tokens)


def evaluation_rooms(config: RunConfig) -> Iterator[Room]:
    """Of the evaluation, where there is one."""
    if config.evaluate is not None:
        yield Room(key="evaluate.sampling.max_new_tokens", tokens=config.evaluate.sampling.max_new_tokens)
