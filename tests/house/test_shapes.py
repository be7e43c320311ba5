"""The shape checks bite, and cover everything but what is listed here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import shape_check
from assent.algorithms.policy import policy_ratio

PACKAGE = Path(__file__).parents[2] / "src" / "assent"
UNCHECKED: set[str] = set()
"""Functions with a parameter that is a Protocol without runtime_checkable."""


def test_a_broadcast_that_nobody_meant_is_refused() -> None:
    """Both are annotated [S]; torch alone would stretch the second over the first and say nothing."""
    with pytest.raises(TypeCheckError):
        policy_ratio(torch.zeros(2), torch.zeros(1))


def test_all_functions_are_checked_but_those_known() -> None:
    """A new Protocol without runtime_checkable would take its functions out of the checks unseen."""
    for package in shape_check.CHECKED:
        for path in sorted((PACKAGE / package.removeprefix("assent.")).glob("[!_]*.py")):
            importlib.import_module(f"{package}.{path.stem}")
    assert set(shape_check.unchecked) <= UNCHECKED
