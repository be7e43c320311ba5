"""The source behind a Python target: its module and the user's own modules that it imports, found without running any.

Imports are read from the source, so what a module chooses while it runs (a name put together, a file it opens) is not
seen. Modules of the standard library, of installed packages and of Assent do not count: they change with a version.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import assent
from assent.core.hashing import hash_file, hash_json

_INSTALLED = {"site-packages", "dist-packages"}
_ASSENT = Path(assent.__file__).parent.resolve()
_UNSEEN = {"globals", "exec", "setattr", "vars"}
"""Calls by which a module may gain names that its source does not show."""


def source_hash_of(target: str) -> str:
    """Hash of the sources behind "package.module:function"; of a target that is not there, of nothing."""
    found: dict[str, str] = {}
    waiting = list(_chain(_parts(target)[0]))
    first = True
    while waiting:
        module = waiting.pop()
        if module.name not in found and module.file is not None and (first or module.is_own):
            found[module.name] = hash_file(module.file)
            waiting += [one for name in _imports(module) for one in _chain(name)]
        first = False
    return hash_json(sorted(found.items()))


def problem_of(target: str) -> str | None:
    """Why a target cannot be there, as far as its source tells; None where it may be."""
    name, attribute = _parts(target)
    if not name or not attribute:
        return f'a function target wants "package.module:function", got {target!r}'
    chain = _chain(name)
    if not chain or chain[0].name != name:
        return f"module {name!r} of {target!r} is not there"
    module = chain[0]
    if module.file is None or module.file.suffix != ".py":
        return None
    tree = _tree(module.file)
    if tree is None:
        return f"module {name!r} of {target!r} is not valid Python"
    return f"module {name!r} of {target!r} has no {attribute!r}" if _lacks(tree, attribute) else None


@dataclass(frozen=True)
class _Module:
    """A module as it lies on the disk."""

    name: str
    file: Path | None
    """None for a folder without `__init__.py`, and for what is built in."""
    folders: tuple[Path, ...] = ()
    """Where its submodules lie; empty where it is no package."""

    @property
    def is_own(self) -> bool:
        """Whether it is neither installed nor of the standard library nor of Assent."""
        if self.file is None:
            return False
        path = self.file.resolve()
        standard = [Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib")]
        is_installed = bool(_INSTALLED & set(path.parts)) or any(path.is_relative_to(one) for one in standard)
        return not is_installed and not path.is_relative_to(_ASSENT)


def _parts(target: str) -> tuple[str, str]:
    module, _, attribute = target.partition(":")
    return module, attribute


def _chain(name: str) -> list[_Module]:
    """The module and the packages around it, which are imported first, innermost first; as much of it as is there."""
    chain: list[_Module] = []
    roots = [Path(entry or ".") for entry in (*sys.path, ".")]
    for number in range(len(name.split("."))):
        whole = ".".join(name.split(".")[: number + 1])
        found = _look(whole, roots) or (_installed(whole) if number == 0 else None)
        if found is None:
            break
        chain.insert(0, found)
        roots = list(found.folders)
    return chain


def _look(name: str, roots: Sequence[Path]) -> _Module | None:
    """A module in the first of the folders that holds it, as Python itself would find it."""
    last = name.rpartition(".")[2]
    if not last.isidentifier() or name in sys.builtin_module_names:
        return None
    portions: list[Path] = []
    for root in roots:
        folder = root / last
        if (folder / "__init__.py").is_file():
            return _Module(name, folder / "__init__.py", (folder,))
        if (root / f"{last}.py").is_file():
            return _Module(name, root / f"{last}.py")
        if folder.is_dir():
            portions.append(folder)
    return _Module(name, None, tuple(portions)) if portions else None


def _installed(name: str) -> _Module | None:
    """A module that no folder of the path holds under its name: built in, compiled, or installed by a finder."""
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return _Module(name, file, tuple(Path(one) for one in spec.submodule_search_locations or ()))


def _imports(module: _Module) -> Iterator[str]:
    """Names of what a module imports anywhere in its source; of `from a import b` also a.b, which may be a module."""
    tree = None if module.file is None or module.file.suffix != ".py" else _tree(module.file)
    for node in () if tree is None else ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=base, names=names, level=level):
                start = _package(module, level) if level else ""
                whole = ".".join(part for part in (start, base or "") if part)
                yield whole
                yield from (f"{whole}.{one.name}" for one in names if one.name != "*")
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ) if not name.startswith("."):
                yield name


def _package(module: _Module, level: int) -> str:
    """The package that a relative import of so many dots starts from."""
    parts = module.name.split(".")
    kept = len(parts) - level + (1 if module.folders else 0)
    return ".".join(parts[: max(kept, 0)])


def _lacks(tree: ast.Module, name: str) -> bool:
    """Whether a module surely has no such name."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                if any(one.name == "*" or (one.asname or one.name.partition(".")[0]) == name for one in names):
                    return False
            case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found) | ast.ClassDef(name=found):
                if found in (name, "__getattr__"):
                    return False
            case ast.Name(id=found, ctx=ast.Store()) if found == name:
                return False
            case ast.Name(id=found) if found in _UNSEEN:
                return False
    return True


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
