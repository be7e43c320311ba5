"""Tests of code as pairs of a call and the value it should give, compared outside of the sandbox."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from assent.checks.code.questions import compares, is_closeness, is_yes_or_no_of_code
from assent.checks.code.sandbox import NoValue
from assent.core.errors import DataError

_HOW = 'write {"call": "add(1, 2)", "value": 3}, or the text "assert add(1, 2) == 3" with a plain value on the right'


@dataclass(frozen=True)
class Case:
    """One test: an expression, and what it should give."""

    call: str
    value: object
    by_truth: bool = False
    """Whether any value will do that counts as `value`, true or false, as for `assert f(1)`: 1 and [0] are true."""

    def holds(self, found: object) -> bool:
        """Whether a value is the expected one: a tuple counts as a list, true is not 1, floats may differ by 1e-9.

        So it is too for the members of a set and the keys of a dict.
        """
        if self.by_truth:
            return not isinstance(found, NoValue) and bool(found) is self.value
        return _same(self.value, found)


def cases_of(given: object) -> tuple[Case, ...]:
    """The tests in a value from a prompt's meta: a list of mappings or of assertions.

    Raises DataError for anything else, for a list of none, and for a test that the code itself would decide.
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
        call = ast.parse(given["call"], mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise DataError(f"the call of a test is {_shown(given['call'])}, which is no expression: {error}") from None
    _refuse_decided(call, given["value"], given)
    return Case(given["call"], given["value"])


def _asserted(text: str) -> Case:
    """A line of a data set. Other comparisons than `== value` are refused: the code could reach what they compare."""
    try:
        (line,) = ast.parse(text.strip()).body
    except (SyntaxError, ValueError):
        raise DataError(f"a test is {_shown(text)}, which is no single assertion; {_HOW}") from None
    if not isinstance(line, ast.Assert):
        raise DataError(f"a test is {_shown(text)}; {_HOW}")
    call, value, by_truth = _read(line.test, text)
    _refuse_decided(call, value, text)
    return Case(ast.unparse(call), value, by_truth)


def _read(test: ast.expr, text: str) -> tuple[ast.expr, object, bool]:
    """The expression, what it should give, and whether its truth is enough. Raises DataError for other assertions."""
    if near := is_closeness(test):
        return *near, False
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            try:
                return left, ast.literal_eval(right), False
            except ValueError:
                pass
        case ast.Call():
            return test, True, True
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call):
            return call, False, True
    raise DataError(f"a test is {_shown(text)}; {_HOW}")


def _refuse_decided(call: ast.expr, value: object, given: object) -> None:
    """Raise DataError where an expression leaves the verdict to the code that it tests."""
    if compares(call) or (isinstance(value, bool) and not is_yes_or_no_of_code(call)):
        raise DataError(
            f"a test is {_shown(given)}, which the tested code could decide itself; let the call give its result, which"
            f" is compared outside (floats up to 1e-9): {_HOW}"
        )


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
        return _same_in_any_order(expected.items(), found.items())
    if isinstance(expected, (set, frozenset)) and isinstance(found, (set, frozenset)):
        return _same_in_any_order(expected, found)
    return type(expected) is type(found) and expected == found


def _same_in_any_order(expected: Iterable[object], found: Iterable[object]) -> bool:
    """Whether each has a partner of its own. Both are sorted, so that a partner is nearly always the first one left."""
    left = sorted(found, key=_place)
    for one in sorted(expected, key=_place):
        partner = next((number for number, other in enumerate(left) if _same(one, other)), None)
        if partner is None:
            return False
        del left[partner]
    return not left


def _place(value: object) -> tuple[int, Any]:
    """Where a value stands among others, by its kind and then by itself."""
    match value:
        case bool():
            return 0, value
        case int() | float():
            return 1, value
        case str():
            return 2, value
        case list() | tuple():
            return 3, [_place(one) for one in value]
        case set() | frozenset() | Mapping():
            return 4, len(value)
    return 5, repr(value)


def _close(expected: float, found: float) -> bool:
    try:
        both_nan = math.isnan(expected) and math.isnan(found)
        return both_nan or math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-12)
    except OverflowError:  # an integer that no float can hold
        return False


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
