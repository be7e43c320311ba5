"""Tests of code as pairs of a call and the value it should give, compared outside of the sandbox."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass

from assent.core.errors import DataError

_HOW = 'write {"call": "add(1, 2)", "value": 3}, or the text "assert add(1, 2) == 3" with a plain value on the right'


@dataclass(frozen=True)
class Case:
    """One test: an expression, and what it should give."""

    call: str
    value: object

    def holds(self, found: object) -> bool:
        """Whether a value is the expected one: a tuple counts as a list, true is not 1, floats may differ by 1e-9."""
        return _same(self.value, found)


def cases_of(given: object) -> tuple[Case, ...]:
    """The tests in a value from a prompt's meta: a list of mappings or of assertions.

    Raises DataError for anything else, and for a list of none.
    """
    if not isinstance(given, (list, tuple)) or not given:
        raise DataError(f"tests are {_shown(given)}; they should be a list with at least one: {_HOW}")
    return tuple(_case(one) for one in given)


def _case(given: object) -> Case:
    if isinstance(given, str):
        return _asserted(given)
    if not isinstance(given, Mapping) or set(given) != {"call", "value"} or not isinstance(given["call"], str):
        raise DataError(f"a test is {_shown(given)}; {_HOW}")
    try:
        ast.parse(given["call"], mode="eval")
    except (SyntaxError, ValueError) as error:
        raise DataError(f"the call of a test is {_shown(given['call'])}, which is no expression: {error}") from None
    return Case(given["call"], given["value"])


def _asserted(text: str) -> Case:
    """A line of a data set. Other comparisons than `== value` are refused: the code could reach what they compare."""
    try:
        (line,) = ast.parse(text.strip()).body
    except (SyntaxError, ValueError):
        raise DataError(f"a test is {_shown(text)}, which is no single assertion; {_HOW}") from None
    match line:
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            try:
                return Case(ast.unparse(left), ast.literal_eval(right))
            except ValueError:
                pass
        case ast.Assert(test=ast.Call() as call):
            return Case(ast.unparse(call), True)
        case ast.Assert(test=ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call)):
            return Case(ast.unparse(call), False)
    raise DataError(f"a test is {_shown(text)}; {_HOW}")


def _same(expected: object, found: object) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, int) and isinstance(found, int):
        return expected == found
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return _close(expected, found)
    if isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(expected) == len(found) and all(map(_same, expected, found))
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return expected.keys() == found.keys() and all(_same(value, found[key]) for key, value in expected.items())
    if isinstance(expected, (set, frozenset)) and isinstance(found, (set, frozenset)):
        return expected == found
    return type(expected) is type(found) and expected == found


def _close(expected: float, found: float) -> bool:
    try:
        both_nan = math.isnan(expected) and math.isnan(found)
        return both_nan or math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-12)
    except OverflowError:  # an integer that no float can hold
        return False


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
