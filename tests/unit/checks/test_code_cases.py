"""Tests of code are calls and values, compared outside and strictly; and where in an answer its code stands."""

from __future__ import annotations

import math

import pytest

from assent.checks.code.answers import code_in
from assent.checks.code.cases import Case, cases_of
from assent.checks.code.sandbox import NoValue, Sandbox
from assent.core.errors import DataError


@pytest.mark.parametrize(
    ("text", "case"),
    [
        ("assert add(1, 2) == 3", Case("add(1, 2)", 3)),
        ("  assert f('a')[0] == ('a', -1.5)\n", Case("f('a')[0]", ("a", -1.5))),
        ("assert f() == {1: {2}, None: True}", Case("f()", {1: {2}, None: True})),
        ("assert f(1)[0] == True", Case("f(1)[0]", True)),
        ("assert list(f(3)) == [1, 2]", Case("list(f(3))", [1, 2])),
        ("assert kept(lambda x: x > 2, [1, 3]) == [3]", Case("kept(lambda x: x > 2, [1, 3])", [3])),
        ("assert sorted(f(3), key=lambda p: p[0]) == []", Case("sorted(f(3), key=lambda p: p[0])", [])),
        ("assert [is_prime(n) for n in (2, 4)] == [True, False]", Case("[is_prime(n) for n in (2, 4)]", [True, False])),
        ("assert isclose(f(2), 4.0)", Case("f(2)", 4.0)),
        ("assert math.isclose(-0.5, f(2))", Case("f(2)", -0.5)),
    ],
)
def test_assertions_of_data_sets_are_read(text: str, case: Case) -> None:
    assert cases_of([text]) == (case,)
    assert cases_of([{"call": case.call, "value": case.value}]) == (case,)


@pytest.mark.parametrize(
    ("text", "call", "value"),
    [
        ("assert is_prime(7)", "is_prime(7)", True),
        ("assert not is_prime(8), 'eight'", "is_prime(8)", False),
        ("assert f([0] * 3, least=-1.5)", "f([0] * 3, least=-1.5)", True),
        ("assert Stack([1]).has(1)", "Stack([1]).has(1)", True),
        ("assert is_mirrored(Tree(1, Tree(2)))", "is_mirrored(Tree(1, Tree(2)))", True),
        ("assert isclose(1.0, 1.0)", "isclose(1.0, 1.0)", True),  # where that is what has to be written
    ],
)
def test_a_call_alone_is_asserted_by_truth_as_python_does(text: str, call: str, value: bool) -> None:
    assert cases_of([text]) == (Case(call, value, by_truth=True),)


FORGED = """
class A:
    def __eq__(self, other): return True
    def __getattr__(self, name): return lambda *given: True
def f(x): return A()
def isclose(a, b, **tolerances): return True
"""


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("all(f(i) == i*i for i in range(3))", True),
        ("bool(f(2) == 4)", True),
        ("isclose(f(2), 4.0)", True),
        ("f('a').startswith('b')", True),
        ("f(2).__eq__(4)", True),
        ("f(2) == 4", True),
        ("not f(2) == 4", False),
        ("4 if f(2) == 4 else 5", 4),
        ("sum(f(i) == i*i for i in range(3))", 3),
        ("[y == 4 for y in [f(2)]]", [True]),
        ("list(map(lambda y: y == 4, [f(2)]))", [True]),
        ("[isclose(f(2), 4.0)]", [True]),
    ],
)
def test_a_test_that_the_code_could_decide_itself_is_refused_however_it_is_written(call: str, value: object) -> None:
    forged = Sandbox("limits_only").run(FORGED, [call]).values[0]
    assert forged == value, "or there would be nothing to refuse"
    for given in ({"call": call, "value": value}, f"assert ({call}) == {value}"):
        with pytest.raises(DataError, match=r"could decide itself; .*write \{"):
            cases_of([given])


@pytest.mark.parametrize(
    "text",
    [
        "assert all(f(i) == i*i for i in range(3))",
        "assert bool(f(2) == 4)",
        "assert isclose(f(2), 4.0, rel_tol=0.1)",
        "assert not isclose(f(2), 4.0)",
        "assert isinstance(f(2), int)",
        "assert all(is_prime(n) for n in (2, 3))",
    ],
)
def test_an_assertion_that_the_code_could_decide_itself_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="could decide itself"):
        cases_of([text])


def test_closeness_is_judged_outside_and_not_by_a_function_of_the_code() -> None:
    (case,) = cases_of(["assert isclose(f(2), 4.0)"])
    assert not case.holds(Sandbox("limits_only").run(FORGED, [case.call]).values[0])
    assert case.holds(4.0 + 1e-10) and not case.holds(4.001)


@pytest.mark.parametrize(
    ("found", "is_true"), [(1, True), (0, False), ([], False), ([0], True), ("", False), (None, False), (0.5, True)]
)
def test_truth_is_that_of_the_plain_value(found: object, is_true: bool) -> None:
    assert cases_of(["assert f(1)"])[0].holds(found) is is_true
    assert cases_of(["assert not f(1)"])[0].holds(found) is not is_true


def test_a_call_without_a_value_is_neither_true_nor_false() -> None:
    assert not any(cases_of([text])[0].holds(NoValue("late")) for text in ("assert f(1)", "assert not f(1)"))


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
        ({1, 2}, frozenset({True, 2}), False),
        ({True, 2}, frozenset({True, 2}), True),
        ({0.3}, frozenset({0.1 + 0.2}), True),
        ({0.3}, frozenset({0.300001}), False),
        ({1, 2}, frozenset({1.0, 2.0}), True),
        ({(0.3, "a"), (2, "b")}, frozenset({(2, "b"), (0.1 + 0.2, "a")}), True),
        ({None, "1", 1, (1,)}, frozenset({(1,), 1, "1", None}), True),
        ({1, 2}, frozenset({1}), False),
        ({0.3, 0.1 + 0.2}, frozenset({0.3, 7}), False),  # two that are close need two partners
        ({1: "a"}, {True: "a"}, False),
        ({0.3: "a", 1: [2]}, {1: [2], 0.1 + 0.2: "a"}, True),
        ({0.3: "a"}, {0.1 + 0.2: "b"}, False),
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
