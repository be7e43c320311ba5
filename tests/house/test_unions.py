"""Every `match` on a union of settings names all its members: mypy refuses it once another kind is added.

Such a match ends in

    case _ as never:
        assert_never(never)

so that a kind that nobody thought of here is an error before anything runs, and never does nothing in silence.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from assent.core.config import Config

PACKAGE = Path(__file__).parents[2] / "src" / "assent"


def test_every_match_on_settings_ends_in_assert_never() -> None:
    trees = {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    settings = settings_in(trees)
    assert {"PPOConfig", "LabData", "PretrainedBase"} <= settings, "settings are no longer found by their bases"
    matches = [
        (f"{name}:{match.lineno}", match)
        for name, tree in trees.items()
        for match in matches_in(tree)
        if is_on_settings(match, settings)
    ]
    assert len(matches) > 5, "matches on settings are no longer found"
    assert not [place for place, match in matches if not ends_in_assert_never(match)]


@pytest.mark.parametrize(
    ("last", "is_closed"),
    [
        ("case _ as never:\n  assert_never(never)", True),
        ("case _:\n  raise ValueError", False),
        ("case _:\n  pass", False),
        ("case _ as other:\n  assert_never(never)", False),
        ("case _ as never if x:\n  assert_never(never)", False),
        ("case A() as never:\n  assert_never(never)", False),
        ("", False),
    ],
)
def test_only_an_open_last_arm_closes_a_match(last: str, is_closed: bool) -> None:
    (match,) = matches_in(ast.parse(f"match x:\n case A():\n  pass\n {last}"))
    assert ends_in_assert_never(match) == is_closed


@pytest.mark.parametrize(
    ("case", "is_on"),
    [("A()", True), ("A() as a", True), ("A() | B()", True), ("B(), A()", True), ("m.A()", True), ("B()", False)],
)
def test_settings_are_found_in_any_pattern(case: str, is_on: bool) -> None:
    (match,) = matches_in(ast.parse(f"match x:\n case {case}:\n  pass"))
    assert is_on_settings(match, {"A"}) == is_on


def settings_in(trees: Mapping[str, ast.Module]) -> set[str]:
    """Names of all classes that come from `Config`, over any number of classes between."""
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    known = {Config.__name__}
    while more := {c.name for c in classes if {_name(base) for base in c.bases} & known} - known:
        known |= more
    return known


def matches_in(tree: ast.Module) -> Iterator[ast.Match]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Match))


def is_on_settings(match: ast.Match, settings: set[str]) -> bool:
    patterns = [node for case in match.cases for node in ast.walk(case.pattern)]
    return any(isinstance(one, ast.MatchClass) and _name(one.cls) in settings for one in patterns)


def ends_in_assert_never(match: ast.Match) -> bool:
    match match.cases[-1]:
        case ast.match_case(
            pattern=ast.MatchAs(pattern=ast.MatchAs(pattern=None, name=None), name=str(name)),
            guard=None,
            body=[ast.Expr(ast.Call(func=ast.Name("assert_never"), args=[ast.Name(argument)]))],
        ):
            return name == argument
        case _:
            return False


def _name(node: ast.expr) -> str | None:
    """The last part of a dotted name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None
