"""The architecture is as its page says: floors, arrows and rooms are those of the code."""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "assent"
PAGE = ROOT / "docs" / "architecture.md"
PARAGRAPH = re.compile(r"^\*\*`(\w+)`\*\* ", re.MULTILINE)
FOLDER = re.compile(r"`((?:\w+/)+)`")
BLOCK = re.compile(r"(?<=architecture\.py: floors -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)
TOO_LONG = {"client.py"}
"""Files above the house's aim."""


def test_the_picture_and_the_written_parts_of_the_pages_are_those_of_the_code() -> None:
    assert not _built().stale(_house())


def test_every_arrow_leads_down_and_no_package_is_a_heap() -> None:
    """Nothing circles at any depth either, and the store and the pages keep few arrows between their rooms."""
    assert not _graph().structure_problems(_house())


def test_no_file_or_function_is_above_the_budget() -> None:
    files, functions = _graph().over_budget(_house())
    assert set(files) <= TOO_LONG and not functions


def test_every_package_has_a_paragraph_and_every_paragraph_a_package() -> None:
    there = {p.stem for p in PACKAGE.iterdir() if (p / "__init__.py").exists() or p.suffix == ".py"} - {"__init__"}
    described = PARAGRAPH.findall(PAGE.read_text(encoding="utf-8"))
    assert sorted(described) == sorted({name.partition("_")[0] for name in there})


def test_folders_that_the_page_names_exist() -> None:
    named = FOLDER.findall(PAGE.read_text(encoding="utf-8"))
    # Folders that a run writes are named too: they are no packages.
    assert not [name for name in named if name not in ("policy/",) and not (PACKAGE / name).is_dir()]


@pytest.mark.parametrize("page", [PAGE, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_the_floors_on_the_pages_are_those_of_the_import_contract(page: Path) -> None:
    contract = re.search(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    block = BLOCK.search(page.read_text(encoding="utf-8"))
    assert contract is not None and block is not None
    promised = [line.strip().strip('",').replace("assent.", "") for line in contract[1].splitlines()]
    assert [line.strip() for line in block[0].splitlines()] == promised


def test_boxes_in_the_picture_stand_on_their_floors() -> None:
    """A package is drawn higher than another exactly where its floor is higher."""
    picture = (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8")
    boxes = re.findall(r'<rect class="card[^"]*" x="[\d.]+" y="([\d.]+)".*?<text class="name".*?>(\w+)</text>', picture)
    height = {name: -float(y) for y, name in boxes}
    floor = {name: _house().floor(name) for name in _house().packages}
    assert height.keys() == floor.keys()
    assert all((height[a] > height[b]) == (floor[a] > floor[b]) for a in height for b in height)


def test_arrows_that_others_imply_are_left_out_and_rings_are_found() -> None:
    """a → b → c makes a → c superfluous; b → c → b is one ring."""
    graph = _graph()
    assert graph.reduced([("a", "b"), ("b", "c"), ("a", "c")]) == [("a", "b"), ("b", "c")]
    assert graph.cycles([("a", "b"), ("b", "c")]) == []
    assert graph.cycles([("a", "b"), ("b", "c"), ("c", "b")]) == [["b", "c"]]
    assert graph.depth([("a", "b"), ("b", "c"), ("a", "c")]) == 3


def test_imports_inside_functions_and_of_modules_by_their_package_are_arrows(tmp_path: Path) -> None:
    """`from assent.core import seeds` leads to core.seeds, wherever it stands; a climbing one is named."""
    files = {
        "core/__init__.py": "",
        "core/seeds.py": "def late() -> None:\n    import assent.web.app\n",
        "web/__init__.py": "",
        "web/app.py": "from assent.core import seeds\nfrom assent.web.forms import form\n",
        "web/forms.py": "",
    }
    for name, text in files.items():
        (tmp_path / "src" / "assent" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / "assent" / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.importlinter]\ncontracts = ["
        '{name = "Floors", type = "layers", layers = ["assent.web", "assent.core"]},'
        '{name = "The people side", type = "forbidden", source_modules = ["assent.web"]},'
        '{name = "The machine side", type = "forbidden", source_modules = []}]\n'
    )
    house = _graph().read_house(tmp_path)
    assert _graph().arrows(house) == {("core", "web"): 1, ("web", "core"): 1}
    assert _graph().arrows(house, ("web",)) == {("app", "forms"): 1}
    assert _graph().structure_problems(house) == [
        "core imports web, which is on no lower floor",
        "a cycle in assent: core, web",
    ]


@functools.cache
def _built() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_architecture", ROOT / "docs" / "build_architecture.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _graph() -> ModuleType:
    _built()
    return sys.modules["import_graph"]


@functools.cache
def _house() -> Any:
    return _built().read_house()
