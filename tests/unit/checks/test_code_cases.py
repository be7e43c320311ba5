"""Tests of code are calls and values, compared outside and strictly; and where in an answer its code stands."""

from __future__ import annotations

import math

import pytest

from assent.checks.code.answers import code_in
from assent.checks.code.cases import Case, cases_of
from assent.core.errors import DataError


@pytest.mark.parametrize(
    ("text", "case"),
    [
        ("assert add(1, 2) == 3", Case("add(1, 2)", 3)),
        ("  assert f('a')[0] == ('a', -1.5)\n", Case("f('a')[0]", ("a", -1.5))),
        ("assert f() == {1: {2}, None: True}", Case("f()", {1: {2}, None: True})),
        ("assert is_prime(7)", Case("is_prime(7)", True)),
        ("assert not is_prime(8), 'eight'", Case("is_prime(8)", False)),
    ],
)
def test_assertions_of_data_sets_are_read(text: str, case: Case) -> None:
    assert cases_of([text]) == (case,)
    assert cases_of([{"call": case.call, "value": case.value}]) == (case,)


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        "assert f() == 1",
        [1],
        ["f() == 1"],
        ["assert f() == 1\nassert f() == 2"],
        ["assert f() =="],
        ["assert f() == g()"],  # the answer would be where the code can reach it
        ["assert abs(f() - 1) < 0.1"],
        ["assert 0 < f() == 1"],
        [{"call": "f()"}],
        [{"call": "f() = 1", "value": 1}],
        [{"call": "x = 1", "value": 1, "why": "?"}],
        [{"call": 3, "value": 1}],
    ],
)
def test_what_is_no_test_is_refused_with_the_way_to_write_one(given: object) -> None:
    with pytest.raises(DataError, match=r"write \{|no expression"):
        cases_of(given)


@pytest.mark.parametrize(
    ("expected", "found", "holds"),
    [
        (3, 3, True),
        (3, 3.0, True),
        (0.3, 0.1 + 0.2, True),
        (0.3, 0.300001, False),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        (0, None, False),
        (None, None, True),
        ("1", 1, False),
        ("ä\ud800", "ä\ud800", True),
        ((1, 2), [1, 2], True),
        ([1, [2]], [1, [2, 3]], False),
        ([1, 1], [1, True], False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({1, 2}, frozenset({2, 1}), True),
        ([1, 2], frozenset({1, 2}), False),
        (math.nan, math.nan, True),
        (math.inf, -math.inf, False),
        (1.5, 10**400, False),
        (10**400, 10**400, True),
    ],
)
def test_a_value_holds_where_it_is_the_same(expected: object, found: object, holds: bool) -> None:
    assert Case("f()", expected).holds(found) is holds


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("def f(): pass", "def f(): pass"),
        ("\n    x = 1\n", "    x = 1"),
        ("Here:\n```python\na = 1\n```\nor\n```py\na = 2\n```\nGood luck.", "a = 2"),
        ("```\na = 1\n```\n```bash\nls\n```", "a = 1"),
        ("```bash\nls\n```", ""),
        ("```python\na = '''\n~~~\n'''\n```", "a = '''\n~~~\n'''"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
        ("~~~ Python title\nx\n~~~", "x"),
        ("```python\nnever = 'closed'", "never = 'closed'"),
        ("```python\r\nx = 1\r\n```", "x = 1\r"),
        ("```python\n```", ""),
        ("", ""),
    ],
)
def test_the_code_of_an_answer(answer: str, code: str) -> None:
    assert code_in(answer) == code
