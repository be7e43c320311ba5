"""The house's habits that a machine can check: first lines, budgets, names, and what is never imported."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "assent"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "docs").glob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_FILE, MAX_TEST_FILE, MAX_FUNCTION = 400, 450, 60
"""Lines."""
NO_NOUNS = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
PICKLES = {"pickle", "cPickle", "dill", "joblib"}
EXCEPT = {PACKAGE / "pipeline" / "stages" / "base.py"}
"""The stage of that name: it makes the base model."""


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_file_begins_by_saying_what_it_is_for() -> None:
    bad = {}
    for path in (*SOURCES, *TESTS):
        first = (ast.get_docstring(_tree(path)) or "").partition("\n")[0]
        if len(first) < 10 or not first.rstrip().endswith((".", ":", "?", "…")):
            bad[_id(path)] = first
    assert not bad


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (*SOURCES, *TESTS)}
    most = dict.fromkeys(SOURCES, MAX_FILE) | dict.fromkeys(TESTS, MAX_TEST_FILE)
    assert not {_id(path): number for path, number in lines.items() if number > most[path]}


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{_id(path)}:{f.name}": (f.end_lineno or f.lineno) - f.lineno + 1 for path in SOURCES for f in _functions(path)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION}


def test_every_module_is_named_by_a_noun_of_its_own() -> None:
    assert not [_id(path) for path in SOURCES if path.stem in NO_NOUNS and path not in EXCEPT]


def test_nothing_is_unpickled() -> None:
    """A pickle runs code when it is read, and torch.load reads pickles; weights are safetensors here."""
    assert not _found(_pickles)


def test_no_error_is_swallowed_unnamed() -> None:
    assert not _found(lambda node: "except:" if isinstance(node, ast.ExceptHandler) and node.type is None else None)


def test_nobody_seeds_a_global_generator() -> None:
    """`torch.manual_seed` only inside a fork, which puts torch's state back; other global generators never."""
    forked = {id(node) for path in SOURCES for fork in _forks(path) for node in ast.walk(fork)}
    assert not _found(lambda node: None if id(node) in forked else _global_seed(node))


def _found(problem: Callable[[ast.AST], str | None]) -> list[str]:
    """Every problem in the sources, with its place."""
    return [
        f"{_id(path)}:{getattr(node, 'lineno', 0)}: {said}"
        for path in SOURCES
        for node in ast.walk(_tree(path))
        if (said := problem(node)) is not None
    ]


def _pickles(node: ast.AST) -> str | None:
    match node:
        case ast.Import(names=names):
            return next((name.name for name in names if name.name.partition(".")[0] in PICKLES), None)
        case ast.ImportFrom(module=str(module), names=names):
            if module == "torch":
                return next((f"torch.{name.name}" for name in names if name.name in ("load", "save")), None)
            return module if module.partition(".")[0] in PICKLES else None
        case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as name):
            return f"torch.{name}"
    return None


def _global_seed(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="manual_seed")):
            return "torch.manual_seed"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="random"), attr="seed")):
            return "random.seed"
        case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="np"), attr="random"), attr="seed")):
            return "np.random.seed"
    return None


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    if "migrations" not in path.parts:
        yield from (n for n in ast.walk(_tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def _forks(path: Path) -> Iterator[ast.With]:
    """Blocks that put torch's generator back at their end."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.With) and any("fork_rng" in ast.dump(item) for item in node.items):
            yield node
