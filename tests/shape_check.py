"""The decorator that checks annotations while tests run.

A module of its own, because the import hook of jaxtyping asks for it by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep3119Exception

CHECKED = ("assent.algorithms", "assent.models", "assent.training")
"""Packages whose annotations are enforced while tests run."""

unchecked: list[str] = []
"""Functions left as they are, because a parameter is a Protocol that says nothing at run time."""

# The numeric tower of PEP 484: an int is welcome where a float is asked for.
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its arguments and result looked at in every call."""
    try:
        return _check(function)
    except BeartypeDecorHintPep3119Exception:
        unchecked.append(f"{function.__module__}.{function.__qualname__}")
        return function
