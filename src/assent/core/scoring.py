"""A user's function (prompts, completions) -> scores: imported by name, checked at every call."""

from __future__ import annotations

import ast
import importlib
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import BuiltinImporter, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Annotated

from pydantic import BeforeValidator

from assent.core.errors import ConfigError, FunctionError
from assent.core.types import Prompt

Score = Callable[[Sequence[Prompt], Sequence[str]], Sequence[float]]


def target_of(function: object) -> object:
    """The name by which any later run imports a function: "module:function"; what is no function is given back.

    Raises ValueError for one that a later run could not import: of the script itself, inside another function, or
    without a name.
    """
    if not callable(function):
        return function
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module is None or name is None or not name.isidentifier() or module == "__main__":
        shown = name or type(function).__name__
        raise ValueError(
            f"{shown} has no name by which a later run could import it, so what was trained with it could not be"
            " resumed or checked; write it with `def` at the top of a file of its own, say rewards.py, and give"
            f" `from rewards import {shown if shown.isidentifier() else 'score'}`"
        )
    return f"{module}:{name}"


PythonTarget = Annotated[str, BeforeValidator(target_of)]
"""A field that names a function; in Python the function itself may be given."""


@dataclass(frozen=True)
class ScoreFunction:
    """A function of prompts and texts that gives one finite number each; higher is better."""

    name: str
    function: Score = field(repr=False)

    @classmethod
    def load(cls, target: str) -> ScoreFunction:
        """Import "package.module:function", of what is installed or lies in the folder that the program runs in.

        Raises ConfigError where it is not there or cannot be called.
        """
        module, colon, attribute = target.partition(":")
        if not colon or not module or not attribute:
            raise ConfigError(f'a function target wants "package.module:function", got {target!r}')
        try:
            function = getattr(_module(module), attribute)
        except Exception as error:  # whatever the module raises while it is imported
            where = f"write module:function (without .py) of a file in {Path.cwd()} or of an installed package"
            raise ConfigError(f"function {target!r} cannot be imported: {error}; {where}") from error
        if not callable(function):
            raise ConfigError(f"{target!r} is {type(function).__name__}; it should be a function")
        return cls(target, function)

    @staticmethod
    def refuse_absent(target: str) -> None:
        """Raise ConfigError where a target names nothing that can be found. None of its code is run.

        What a module makes only while it runs is not seen, and then nothing is said against it.
        """
        module, _, attribute = target.partition(":")
        spec = _found(module)
        if spec is None:
            raise ConfigError(
                f"function {target!r}: there is no module {module!r}; write module:function (without .py) of a file in"
                f" {Path.cwd()} or of an installed package"
            )
        if spec.origin is None or not spec.origin.endswith(".py"):
            return
        try:
            tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError) as error:
            raise ConfigError(f"function {target!r}: {spec.origin} cannot be read: {error}; correct it") from None
        names = _names(tree)
        if attribute not in names and "*" not in names:
            raise ConfigError(f"function {target!r}: {spec.origin} has no {attribute!r}; correct the name")

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """One score per completion.

        Raises FunctionError naming the function where it raises, returns the wrong number of scores, or one that is
        not a finite number (with its answer).
        """
        try:
            returned = list(self.function(prompts, completions))
        except FunctionError:
            raise
        except Exception as error:
            raise FunctionError(f"{self.name} raised {type(error).__name__}: {error}") from error
        if len(returned) != len(completions):
            wrong = f"{len(returned)} scores for {len(completions)} answers"
            raise FunctionError(f"{self.name} returned {wrong}; return one for each")
        return [self._checked(n, value, completions[n]) for n, value in enumerate(returned)]

    def _checked(self, index: int, value: float, text: str) -> float:
        try:
            score = float(value)
        except (TypeError, ValueError):
            score = math.nan
        if not math.isfinite(score):
            raise FunctionError(f"{self.name} returned {value!r} at index {index}, for the answer {text[:60]!r}")
        return score


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last: a file of the folder hides nothing that is installed
    return importlib.import_module(name)


def _found(module: str) -> ModuleSpec | None:
    """Where a module lies, by its name alone: no package on the way to it is imported."""
    path: list[str] = [*sys.path, str(Path.cwd())]
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for number in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: number + 1]), path)
        if spec is None:
            return BuiltinImporter.find_spec(module) if number == 0 else None
        path = list(spec.submodule_search_locations or ())
    return spec


def _names(tree: ast.Module) -> set[str]:
    """Names that a module binds at its top, also in its ifs and trys; "*" for a star import."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Import() | ast.ImportFrom():
                found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
    return found
