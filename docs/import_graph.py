"""Who imports whom in src/assent, held against the floors of pyproject.toml: what the architecture page is made from.

A room is a direct child of a package: a module or a package inside it. An arrow leads from one room to another that it
imports, whatever the number of imports.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MAX_FILE, MAX_FUNCTION = 400, 60
"""Lines."""
MAX_ARROWS = {"feedback": 60, "web": 80}
"""Between the rooms of the two largest packages: above these a package is a heap again."""

Name = tuple[str, ...]
"""A module or package below assent: ("feedback", "queue", "claims")."""
Arrows = Mapping[tuple[str, str], int]
"""(importing room, imported room) -> pairs of modules that make up the arrow."""


@dataclass(frozen=True)
class Module:
    """What one file says about itself."""

    place: str
    """Path below src/assent."""
    lines: int
    imports: frozenset[str]
    """Dotted names below assent; of `from assent.core import seeds` both "core" and "core.seeds"."""
    functions: Mapping[str, int]
    """Lines of each function, methods too."""
    first_line: str


@dataclass(frozen=True)
class House:
    """All modules, and the floors and wings that pyproject.toml promises."""

    modules: Mapping[Name, Module]
    floors: tuple[tuple[str, ...], ...]
    """Packages from the top floor to the ground."""
    people: frozenset[str]
    """Packages that never import torch."""
    machine: frozenset[str]
    """Packages that never import a database or a web server."""

    @property
    def packages(self) -> list[str]:
        """Everything directly below assent, in the order of the floors."""
        found = rooms(self)
        return [
            *(p for floor in self.floors for p in floor if p in found),
            *(p for p in found if self.floor(p) is None),
        ]

    def floor(self, package: str) -> int | None:
        """The floor of a package, 0 the ground; None where no contract names it."""
        return next((i for i, floor in enumerate(reversed(self.floors)) if package in floor), None)


def read_house(root: Path = ROOT) -> House:
    """Parse every module and the contracts."""
    package = root / "src" / "assent"
    places = sorted(path.relative_to(package) for path in package.rglob("*.py"))
    modules = {_name(place): _module(package, place) for place in places}
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers" and "containers" not in one)
    floors = tuple(tuple(_package(one) for one in layer.split("|")) for layer in layers)
    return House(modules, floors, _wing(contracts, "The people side"), _wing(contracts, "The machine side"))


def rooms(house: House, package: Name = ()) -> list[str]:
    """Direct children of a package."""
    depth = len(package)
    return sorted({_room(name, depth) for name in house.modules if name[:depth] == package and len(name) > depth})


def arrows(house: House, package: Name = ()) -> Arrows:
    """Arrows between the rooms of a package; what its own `__init__` passes on is not counted."""
    depth = len(package)
    found: Counter[tuple[str, str]] = Counter()
    for name, module in house.modules.items():
        if name[:depth] != package or len(name) == depth:
            continue
        for target in _targets(house, module):
            if target[:depth] == package and len(target) > depth:
                found[_room(name, depth), _room(target, depth)] += 1
    return {pair: number for pair, number in sorted(found.items()) if pair[0] != pair[1]}


def reached(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Each room with all that it imports, directly or by others."""
    below: dict[str, set[str]] = {}
    for source, target in pairs:
        below.setdefault(source, set()).add(target)
        below.setdefault(target, set())
    is_growing = True
    while is_growing:
        is_growing = False
        for found in below.values():
            more = set().union(*(below[one] for one in found)) - found
            found |= more
            is_growing = is_growing or bool(more)
    return below


def cycles(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Rooms that import each other in a ring, by ring."""
    below = reached(pairs)
    rings = {tuple(sorted(b for b in below[a] if a in below[b])) for a in below if a in below[a]}
    return [list(ring) for ring in sorted(rings)]


def depth(pairs: Iterable[tuple[str, str]]) -> int:
    """Floors that the rooms need so that every arrow leads down; rooms of one ring share a floor."""
    below = reached(pairs)
    above = {room: {one for one in found if room not in below[one]} for room, found in below.items()}
    height: dict[str, int] = {}
    for room in sorted(below, key=lambda one: len(below[one])):
        height[room] = 1 + max((height.get(one, 0) for one in above[room]), default=0)
    return max(height.values(), default=1)


def reduced(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arrows that are left when those are taken away whose end a longer way reaches too. Wants no cycle."""
    direct = sorted(set(pairs))
    below = reached(direct)
    return [(a, b) for a, b in direct if not any(b in below[c] for x, c in direct if x == a and c != b)]


def climbs(house: House) -> list[tuple[str, str]]:
    """Arrows between packages that do not lead to a lower floor; a package without a floor cannot be held to one."""
    levels = {package: house.floor(package) for package in house.packages}
    return [
        (a, b) for a, b in arrows(house) if (x := levels[a]) is not None and (y := levels[b]) is not None and y >= x
    ]


def counts(house: House) -> str:
    """The table that `--counts` prints."""
    between = arrows(house)
    lines = [
        f"{len(house.modules)} modules, {sum(m.lines for m in house.modules.values()):,} lines",
        f"{len(house.packages)} packages on {len(house.floors)} floors, {len(between)} arrows between them,"
        f" {len(cycles(between))} cycles, {len(climbs(house))} that climb",
        "",
        f"{'package':<22}{'modules':>8}{'lines':>8}{'rooms':>8}{'arrows':>8}{'floors':>8}{'cycles':>8}",
    ]
    for package in _inner_packages(house):
        inside = [module for name, module in house.modules.items() if _is_in(name, package)]
        pairs, size = arrows(house, package), sum(m.lines for m in inside)
        numbers = (len(inside), size, len(rooms(house, package)), len(pairs), depth(pairs), len(cycles(pairs)))
        name = "  " * (len(package) - 1) + package[-1]
        lines.append(f"{name:<22}" + "".join(f"{number:>8,}" for number in numbers))
    long_files, long_functions = over_budget(house)
    lines += ["", f"{len(long_files)} files above {MAX_FILE} lines" + _listed(long_files)]
    lines += [f"{len(long_functions)} functions above {MAX_FUNCTION} lines" + _listed(long_functions)]
    return "\n".join(lines)


def over_budget(house: House) -> tuple[dict[str, int], dict[str, int]]:
    """Files and functions that are too long, migrations aside."""
    files, functions = {}, {}
    for name, module in house.modules.items():
        if "migrations" in name:
            continue
        if module.lines > MAX_FILE:
            files[module.place] = module.lines
        functions |= {f"{module.place}:{f}": lines for f, lines in module.functions.items() if lines > MAX_FUNCTION}
    return files, functions


def structure_problems(house: House) -> list[str]:
    """Arrows that climb, rings, packages without a floor, and heaps, one line each."""
    found = [f"{a} imports {b}, which is on no lower floor" for a, b in climbs(house)]
    homeless = [package for package in house.packages if house.floor(package) is None]
    found += [f"{package} is on no floor; name it in the layers of pyproject.toml" for package in homeless]
    for package in [(), *_inner_packages(house)]:
        rings = cycles(arrows(house, package))
        found += [f"a cycle in {'/'.join(package) or 'assent'}: {', '.join(ring)}" for ring in rings]
    for name, most in MAX_ARROWS.items():
        if (number := len(arrows(house, (name,)))) > most:
            found.append(f"{name} has {number} arrows between its rooms, more than {most}")
    return found


def budget_problems(house: House) -> list[str]:
    """Files and functions that are too long, one line each."""
    files, functions = over_budget(house)
    found = [f"{place} has {number} lines, more than {MAX_FILE}" for place, number in files.items()]
    return found + [f"{place} has {number} lines, more than {MAX_FUNCTION}" for place, number in functions.items()]


def _module(package: Path, place: Path) -> Module:
    text = (package / place).read_text(encoding="utf-8")
    tree = ast.parse(text)
    imports: set[str] = set()
    functions: dict[str, int] = {}
    for name, node in _statements(tree, ""):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions[name] = (node.end_lineno or node.lineno) - node.lineno + 1
            case ast.ImportFrom(module=str(module), names=names) if _package(module) or module == "assent":
                below = module.removeprefix("assent").removeprefix(".")
                imports |= {below, *(f"{below}.{one.name}".removeprefix(".") for one in names)}
            case ast.Import(names=names):
                imports |= {one.name.removeprefix("assent.") for one in names if one.name.startswith("assent.")}
    first_line = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Module(place.as_posix(), len(text.splitlines()), frozenset(imports), functions, first_line)


def _statements(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
    """All statements below a node with the names they are found under; expressions hold no imports and are skipped."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for one in getattr(node, part, ()):
            own = (
                getattr(one, "name", None)
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                else None
            )
            below = f"{name}.{own}".lstrip(".") if own else name
            yield below, one
            yield from _statements(one, below)


def _targets(house: House, module: Module) -> set[Name]:
    """The modules it imports; a package's `__init__` only where nothing inside it is meant."""
    known = {name for one in module.imports if (name := tuple(one.split("."))) in house.modules}
    return {name for name in known if not any(other[:-1] == name for other in known)}


def _name(path: Path) -> Name:
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _room(name: Name, depth: int) -> str:
    """The room of a module; `cli_feedback.py` lies beside `cli` and belongs to it."""
    return name[depth].partition("_")[0] if depth == 0 and len(name) == 1 else name[depth]


def _is_in(name: Name, package: Name) -> bool:
    return name[: len(package)] == package or (len(name) == 1 and (_room(name, 0),) == package)


def _inner_packages(house: House) -> list[Name]:
    """Packages with rooms, each followed by those inside it."""
    found = []
    for package in house.packages:
        names = {name[:i] for name in house.modules for i in range(1, len(name)) if name[0] == package}
        found += sorted(name for name in names if "migrations" not in name)
    return found


def _package(dotted: str) -> str:
    """The package of assent.core.types is core; "" for what is not ours."""
    first, _, rest = dotted.strip().partition(".")
    return rest.partition(".")[0] if first == "assent" else ""


def _wing(contracts: list[dict[str, Any]], name: str) -> frozenset[str]:
    """The packages of a wing: those in the contract that begins with its name."""
    contract = next(one for one in contracts if one["name"].startswith(name))
    return frozenset(_package(one) for one in contract["source_modules"])


def _listed(found: Mapping[str, int]) -> str:
    return "".join(f"\n  {number:>4}  {place}" for place, number in sorted(found.items(), key=lambda item: -item[1]))
