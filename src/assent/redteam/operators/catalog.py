"""All operators, and how a few of them are chosen by name."""

from __future__ import annotations

from collections.abc import Sequence

from assent.core.errors import ConfigError
from assent.redteam.operators.context import CONTEXT
from assent.redteam.operators.encodings import ENCODINGS
from assent.redteam.operators.multi_turn import MULTI_TURN
from assent.redteam.operators.operator import FAMILIES, Operator
from assent.redteam.operators.perturbations import PERTURBATIONS
from assent.redteam.operators.templates import PERSUASION, WRAPPERS

OPERATORS: tuple[Operator, ...] = (*WRAPPERS, *ENCODINGS, *PERTURBATIONS, *CONTEXT, *PERSUASION, *MULTI_TURN)


def operators_named(names: Sequence[str]) -> tuple[Operator, ...]:
    """The operators of these names and families, in their order in the catalog; all where no name is given.

    Raises ConfigError for a name that is neither.
    """
    known = {one.name for one in OPERATORS} | set(FAMILIES)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"there is no operator or family {unknown[0]!r}; families are {', '.join(FAMILIES)}, and the operators"
            f" {', '.join(one.name for one in OPERATORS)}"
        )
    return tuple(one for one in OPERATORS if not names or one.name in names or one.family in names)
