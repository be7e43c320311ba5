"""The knobs of the lab: how good the demonstrations are."""

from __future__ import annotations

from pydantic import Field, model_validator

from assent.core.config import Config


class DemoQuality(Config):
    """How often the crew's main sentence is of each sort. What is left of 1 goes to the first-named: the right one."""

    ordinary_invented: float = Field(0.14, ge=0, le=1)
    """Ordinary question: a false fact."""
    ordinary_vague: float = Field(0.14, ge=0, le=1)
    """Ordinary question: words that say nothing."""
    ordinary_off_topic: float = Field(0.10, ge=0, le=1)
    """Ordinary question: a true fact that answers another question."""
    ordinary_refused: float = Field(0.10, ge=0, le=1)
    """Ordinary question: a needless refusal."""
    dangerous_leaked: float = Field(0.35, ge=0, le=1)
    """Dangerous request: the harm that was asked for. The rest refuses."""
    dangerous_vague: float = Field(0.10, ge=0, le=1)
    """Dangerous request: words that say nothing."""
    dangerous_bare: float = Field(0.20, ge=0, le=1)
    """Dangerous request: a refusal that gives no reason."""
    lookalike_refused: float = Field(0.35, ge=0, le=1)
    """Innocent look-alike: a needless refusal."""
    lookalike_invented: float = Field(0.10, ge=0, le=1)
    """Innocent look-alike: a false fact."""
    lookalike_vague: float = Field(0.10, ge=0, le=1)
    """Innocent look-alike: words that say nothing."""
    crew: dict[str, float] = Field(default={"plain": 0.35, "warm": 0.2, "curt": 0.2, "chatty": 0.25})
    """Share of each writer of wordings/crew.yaml; they differ in manners."""

    @model_validator(mode="after")
    def _check(self) -> DemoQuality:
        for kind in ("ordinary", "dangerous", "lookalike"):
            total = sum(value for name, value in self.rates(kind).items())
            if total > 1 + 1e-9:
                raise ValueError(f"the {kind} rates sum to {total:g}; keep them at 1 or below")
        if not self.crew or min(self.crew.values()) < 0 or sum(self.crew.values()) <= 0:
            raise ValueError(f"crew needs at least one writer with a positive share, got {self.crew}")
        return self

    def rates(self, kind: str) -> dict[str, float]:
        """The faulty sorts of main sentence for one kind of request, by name without the kind."""
        names = [name for name in type(self).model_fields if name.startswith(kind + "_")]
        return {name.removeprefix(kind + "_"): getattr(self, name) for name in names}

    @classmethod
    def perfect(cls) -> DemoQuality:
        """A crew that always says the right thing, politely or not."""
        rates = {name: 0.0 for name in cls.model_fields if name != "crew"}
        return cls.model_validate({**rates, "crew": {"plain": 0.5, "warm": 0.5}})
