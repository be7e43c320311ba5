"""Which expressions may test code: those that give values, and leave it to the outside to judge them.

An expression is evaluated among the names of the answer. Where it compares, an object of the answer can say that it
equals everything; where it ends in yes or no, whatever stands around the call can be the answer's own.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable

_BUILTINS = frozenset(dir(builtins))
_CHECKS = frozenset({"isinstance", "issubclass", "isclose", "allclose"})
"""Functions whose result is a verdict on what they are given."""


def compares(node: ast.AST) -> bool:
    """Whether an expression compares, chooses or checks where names of the code take part.

    What has no name of the code in it is left alone, such as `lambda x: x > 2` as an argument of the code's function;
    given to a function of Python's own it is applied to what that reads, and is looked into.
    """
    if not _names(node):
        return False
    match node:
        case ast.Compare() | ast.BoolOp() | ast.IfExp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _CHECKS and _given(node):
            return True
        case ast.Call(func=ast.Name(id=name)) if name in _BUILTINS:
            return any(compares(one.body if isinstance(one, ast.Lambda) else one) for one in _arguments(node))
    return any(compares(one) for one in ast.iter_child_nodes(node))


def is_yes_or_no_of_code(node: ast.AST) -> bool:
    """Whether a truth value is one that the code's own function gives of plain arguments.

    So are `is_prime(7)`, `Stack([1]).has(1)` (a method of what a class makes) and `f(2)[0]`, but not
    `check(f(2), 4)`, nor `f("a").startswith("b")`: what is asked for by the name of a class begins with a capital.
    """
    match node:
        case ast.Subscript(value=value, slice=place):
            return is_yes_or_no_of_code(value) and _is_plain(place)
        case ast.Attribute(value=ast.Call() | ast.Subscript() as value):
            return is_yes_or_no_of_code(value)
        case ast.Call(func=func):
            return _is_path(func) and all(map(_is_plain, _arguments(node)))
    return False


def is_closeness(node: ast.AST) -> tuple[ast.expr, float] | None:
    """The call and the number of `isclose(call, number)`, with no tolerance of its own; None for anything else."""
    match node:
        case ast.Call(
            func=ast.Name(id="isclose") | ast.Attribute(attr="isclose"), args=[left, right], keywords=[]
        ) if not (_is_plain(left) and _is_plain(right)):
            for call, number in ((left, right), (right, left)):
                if (value := _number(number)) is not None:
                    return call, value
    return None


def _is_path(node: ast.AST) -> bool:
    match node:
        case ast.Name():
            return True
        case ast.Attribute(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) as made):
            return name[:1].isupper() and is_yes_or_no_of_code(made)
        case ast.Attribute(value=value):
            return _is_path(value)
    return False


def _is_plain(node: ast.AST) -> bool:
    """Whether the only names of the code in it are those of its classes."""
    return all(name[:1].isupper() for name in _names(node))


def _given(call: ast.Call) -> bool:
    return any(map(_names, _arguments(call)))


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(one.value for one in call.keywords)]


def _names(node: ast.AST) -> set[str]:
    """Names that are neither Python's own nor bound in the expression itself."""
    inside = list(ast.walk(node))
    named = [one for one in inside if isinstance(one, ast.Name)]
    bound = {one.arg for one in inside if isinstance(one, ast.arg)} | _ids(one for one in named if _is_bound(one))
    return _ids(one for one in named if not _is_bound(one)) - bound - _BUILTINS


def _is_bound(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _ids(names: Iterable[ast.Name]) -> set[str]:
    return {one.id for one in names}


def _number(node: ast.expr) -> float | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
