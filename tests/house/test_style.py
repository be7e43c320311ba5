"""The house's habits that a machine can check: first lines, budgets, names, and what is never imported."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "assent"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "docs").glob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_FILE, MAX_FUNCTION = 450, 80
"""Lines. The house aims at 400 and 60; these are where it stops."""
NO_NOUNS = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
EXCEPT = {PACKAGE / "pipeline" / "stages" / "base.py"}
"""The stage of that name: it makes the base model."""


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=_id)
def test_a_file_begins_by_saying_what_it_is_for(path: Path) -> None:
    said = ast.get_docstring(_tree(path))
    assert said, "write what the file is for as its first line"
    first = said.splitlines()[0]
    assert len(first) > 10 and first.rstrip().endswith((".", ":", "?", "…")), f"the first line is no sentence: {first!r}"


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=_id)
def test_no_file_is_longer_than_a_reader_can_hold(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE


@pytest.mark.parametrize("path", SOURCES, ids=_id)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    lengths = {f"{f.name} (line {f.lineno})": (f.end_lineno or f.lineno) - f.lineno + 1 for f in _functions(path)}
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION}


def test_every_module_is_named_by_a_noun_of_its_own() -> None:
    assert not [_id(path) for path in SOURCES if path.stem in NO_NOUNS and path not in EXCEPT]


@pytest.mark.parametrize("path", SOURCES, ids=_id)
def test_nothing_is_unpickled(path: Path) -> None:
    """A pickle runs code when it is read, and torch.load reads pickles; weights are safetensors here."""
    bad = []
    for node in ast.walk(_tree(path)):
        match node:
            case ast.Import(names=names):
                bad += [name.name for name in names if name.name.partition(".")[0] in ("pickle", "dill", "joblib")]
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in ("pickle", "dill", "joblib"):
                bad.append(module)
            case ast.ImportFrom(module="torch", names=names):
                bad += [f"torch.{name.name}" for name in names if name.name in ("load", "save")]
            case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as name):
                bad.append(f"torch.{name}")
    assert not bad


@pytest.mark.parametrize("path", SOURCES, ids=_id)
def test_no_error_is_swallowed_unnamed(path: Path) -> None:
    bare = [n.lineno for n in ast.walk(_tree(path)) if isinstance(n, ast.ExceptHandler) and n.type is None]
    assert not bare, f"lines {bare}: name the error"


@pytest.mark.parametrize("path", SOURCES, ids=_id)
def test_nobody_seeds_a_global_generator_outside_a_fork(path: Path) -> None:
    """`torch.manual_seed` only where torch's state is put back at once; NumPy's and random's global seeds never."""
    bad = []
    forked = {id(n) for w in _forks(path) for n in ast.walk(w)}
    for node in ast.walk(_tree(path)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="manual_seed")) if id(node) not in forked:
                bad.append(f"line {node.lineno}: torch.manual_seed")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="random"), attr="seed")):
                bad.append(f"line {node.lineno}: random.seed")
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="np"), attr="random"), attr="seed")):
                bad.append(f"line {node.lineno}: np.random.seed")
    assert not bad


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
