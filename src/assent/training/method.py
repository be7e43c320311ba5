"""What every method says of itself, so that nobody else asks which one it is: what it needs, samples, and cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import model_validator

from assent.core.errors import ConfigError
from assent.core.findings import Finding, ok
from assent.raters.config import AutoraterConfig
from assent.training.evaluation_config import Answering

Need = Literal["prompts", "reward", "judgments", "demonstrations", "gold"]
"""What a round can give a method besides the policy it starts from; gold: a held-out reward model, for guards."""


class RankedRows(NamedTuple):
    """The longest prompt with a ranked answer that a method reads, and what becomes of longer ones."""

    max_length: int | None
    """Tokens; None: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"]


class Method(Answering):
    """Base of the methods' settings."""

    title: ClassVar[str]
    """What people call it."""
    learns_from: ClassVar[str]
    """The end of "The policy learns from …" in the report."""
    draws_in_turn: ClassVar[bool] = False
    """Whether each of its steps learns from answers that are drawn for it, by the policy of then."""
    reads_marks: ClassVar[bool] = False
    """Whether flags and scores teach it that came without a ranking, and tasks with a single answer."""

    @model_validator(mode="before")
    @classmethod
    def _has_values(cls, given: Any) -> Any:
        """Say of a setting of the value model that this method has none, where it has none."""
        if isinstance(given, Mapping) and "value" in given and "value" not in cls.model_fields:
            said = f"value is {given['value']}, but {cls.title} has no value model"
            raise ValueError(f"{said}; leave it out, or set optimize.kind: ppo")
        return given

    @property
    def needs(self) -> frozenset[Need]:
        """What it cannot do without."""
        raise NotImplementedError

    @property
    def wants(self) -> frozenset[Need]:
        """Inputs of the stage where the round has them: all that it needs, and what it would begin better with."""
        return self.needs

    @property
    def wants_shared_base(self) -> bool:
        """Whether a run must not start where its models cannot stand on one base."""
        return False

    @property
    def shares_trunk(self) -> bool:
        """Whether values are read from the policy's own states, by a head beside it."""
        return False

    @property
    def reads_whole_orders(self) -> bool:
        """Whether it reads rankings as whole orders, in which no single pair can weigh less than another."""
        return False

    @property
    def gold_share(self) -> float | None:
        """Share of prompts and raters that only a held-out reward model for guards learns from; None: there is none."""
        return None

    def answers(self) -> int | None:
        """Longest answer that it samples, in tokens; None where it samples none."""
        return None

    def criteria(self) -> frozenset[str]:
        """Criteria for which it needs heads of the round's reward model."""
        return frozenset()

    def reading(self) -> tuple[Any, ...]:
        """Terms of its reward that read something of each prompt's row."""
        return ()

    def judges(self) -> Iterator[tuple[str, AutoraterConfig]]:
        """Judges among what it maximises, each with the key that it stands under."""
        return iter(())

    def ranked_rows(self) -> RankedRows | None:
        """Which ranked answers it can read; None where it learns from none."""
        return None

    def prompts_at_once(self) -> int | None:
        """Prompts of one step; None where it samples none."""
        return None

    def checks(self) -> Iterator[Finding]:
        """What cannot work, and what is known to fail."""
        yield ok("optimize", self.title)

    def refuse(self) -> None:
        """Raise ConfigError for the first thing that cannot work: before anything is trained."""
        for found in self.checks():
            if found.is_error:
                raise ConfigError(f"{found.key} {found.message}: {found.fix}")


class NoMethod(Method):
    """That of a run with `optimize: null`: nothing moves the policy, so nothing is needed, read or sampled for it."""

    title: ClassVar[str] = "no method"
    learns_from: ClassVar[str] = "nothing"

    @property
    def needs(self) -> frozenset[Need]:
        """Nothing."""
        return frozenset()

    def checks(self) -> Iterator[Finding]:
        """What the run ends with."""
        yield ok("optimize", "null: nothing moves the policy after fine-tuning")
