"""Templates: words around a request, each as an operator."""

from __future__ import annotations

import numpy as np

from assent.redteam.operators.operator import Family, Operator
from assent.redteam.operators.template_files import template_file
from assent.redteam.script import Script

SLOT = "{request}"


def template_operator(name: str, family: Family, template: str) -> Operator:
    """An operator that puts a request into a template. Raises ValueError where it has not exactly one place for it."""
    before, slot, after = template.partition(SLOT)
    if not slot or SLOT in after:
        raise ValueError(f"template {name!r} should hold {SLOT} once")

    def apply(script: Script, chance: np.random.Generator) -> Script:
        return script.framed(before, after)

    return Operator(name, family, apply)


WRAPPERS: tuple[Operator, ...] = tuple(
    template_operator(name, "wrapper", text) for name, text in template_file("wrappers").items()
)
PERSUASION: tuple[Operator, ...] = tuple(
    template_operator(name, "persuasion", text) for name, text in template_file("persuasion").items()
)
