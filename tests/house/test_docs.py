"""The documentation says what the code does: links, names, YAML, data examples, curves, and generated pages."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from assent.cli import app
from assent.core.config import overlay, read_yaml
from assent.data.config import Source
from assent.data.load import load_comparisons, load_conversations, load_prompts
from assent.pipeline.commands.judge import JudgeFile
from assent.pipeline.config import RunConfig
from assent.profiles.config import Profile

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
METHODS = sorted((ROOT / "docs" / "methods").glob("*.md"))
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
NAME = re.compile(r"`((?:[\w-]+/)*[\w-]+\.py):([\w.]+)`")
FILE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.(?:py|yaml|jinja|md))`")
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"(?:^(?:    )?|`|&& )assent ([a-z][^`\n]*)", re.MULTILINE)
"""At the beginning of a line of a block, or in backticks."""
EXAMPLE = re.compile(r"<!-- (\w+) (\w+) -->\n```jsonl\n(.*?)```", re.DOTALL)
CURVE = re.compile(r"^\| `(\w+)` \|")

A_RUN_ON_FILES = {
    "base": {"kind": "pretrained", "path": "model"},
    "data": {"kind": "files", "demonstrations": [{"path": "a.jsonl"}], "comparisons": [{"path": "b.jsonl"}]},
}
"""What a YAML block that is only a part is laid over."""


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(_without_code(page)):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_functions_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [f"{path}:{name}" for path, name in NAME.findall(text) if name not in _names_in(_source(path))]
    missing += [path for path in FILE.findall(text) if not _source(path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_yaml_blocks_are_valid_settings(page: Path) -> None:
    for block in YAML.findall(page.read_text(encoding="utf-8")):
        _parse(yaml.safe_load(block), where=f"{_id(page)}: {block}")


@pytest.mark.parametrize("path", sorted([*ROOT.glob("configs/*.yaml"), *ROOT.glob("src/**/starter/*.yaml")]), ids=_id)
def test_configs_that_are_shipped_are_valid(path: Path) -> None:
    values = read_yaml(path)
    if "base" in values:
        RunConfig.parse(values, where=_id(path))
    else:
        _parse(values, where=_id(path))


def test_examples_of_formats_are_recognized_and_read(tmp_path: Path) -> None:
    load: dict[str, Any] = {
        "comparisons": load_comparisons,
        "demonstrations": load_conversations,
        "prompts": load_prompts,
    }
    found = EXAMPLE.findall((ROOT / "docs/reference/formats.md").read_text(encoding="utf-8"))
    for number, (form, kind, rows) in enumerate(found):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(rows, encoding="utf-8")
        items, report = load[kind]([Source(path=path)])
        assert len(items) == len(rows.splitlines())
        assert [part.format for part in report.parts] == [form]
    assert {"ranking", "trl", "hh", "ultrafeedback", "oasst", "alpaca", "dolly", "messages", "assent"} <= {
        form for form, _, _ in found
    }


@pytest.mark.parametrize("page", METHODS, ids=_id)
def test_curves_that_a_page_explains_are_recorded(page: Path) -> None:
    """Each row of a table headed "curve" names a metric that a trainer writes."""
    recorded = _strings_and_fields("training", "learner", "algorithms")
    unknown, is_curves = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            is_curves = False
        elif line.startswith("| curve |"):
            is_curves = True
        elif is_curves and (match := CURVE.match(line)) and match[1] not in recorded:
            unknown.append(match[1])
    assert not unknown


def test_reference_pages_are_what_the_code_says() -> None:
    built = _build_reference()
    for name, text in (("config.md", built.config_reference()), ("cli.md", built.cli_reference())):
        page = ROOT / "docs" / "reference" / name
        assert page.read_text(encoding="utf-8") == text, f"{_id(page)} is out of date: python docs/build_reference.py"


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in _build_reference().config_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert not [row for row in rows if row.endswith("|  |")]


def test_every_command_and_option_has_help() -> None:
    without = []
    for name, command in _build_reference().commands():
        without += [name] if not command.help else []
        without += [f"{name} {p.name}" for p in command.params if p.name != "help" and not p.help]
    assert not without


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_commands_that_a_page_names_exist_with_their_options(page: Path) -> None:
    options = {
        tuple(name.split()[1:]): {option for parameter in command.params for option in parameter.opts}
        for name, command in _build_reference().commands()
    }
    wrong = []
    for said in COMMAND.findall(page.read_text(encoding="utf-8")):
        words = said.partition("  #")[0].split()
        known = options.get(tuple(words[:2]), options.get(tuple(words[:1])))
        if known is None or not {w for w in words if w.startswith("--")} <= known:
            wrong.append(said)
    assert not wrong


def test_the_extras_that_users_want_stand_in_the_table_of_the_installation() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs/installation.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| \w", page.partition("## Extras")[2].partition("\n## ")[0], re.MULTILINE)
    assert sorted(table) == sorted(extras)


def test_exit_codes_in_troubleshooting_are_those_of_the_command() -> None:
    (said,) = re.findall(r"^Exit codes: .*$", app.info.help or "", re.MULTILINE)
    assert said in (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8").splitlines()


def test_the_index_leads_to_every_page() -> None:
    linked = {(ROOT / "docs" / target).resolve() for target in LINK.findall((ROOT / "docs/index.md").read_text())}
    assert not [_id(page) for page in PAGES if page.resolve() not in linked | {(ROOT / "docs/index.md").resolve()}]


def _parse(values: dict[str, Any], *, where: str) -> None:
    """Settings of a judge, of a profile, or a part of a run."""
    if "judge" in values:  # what `assent judge` reads
        JudgeFile.parse(values, where=where)
    elif "audience" in values:  # a profile
        Profile.parse(values, where=where)
    else:
        RunConfig.parse(overlay(_below(values), values), where=where)


def _without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _source(path: str) -> Path:
    """Pages name modules from the package, everything else from the root."""
    inside = ROOT / "src" / "assent" / path
    return inside if inside.exists() else ROOT / path


@functools.cache
def _names_in(path: Path) -> frozenset[str]:
    """Functions, classes, `Class.method`s and constants of a module."""
    if not path.exists():
        return frozenset()
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                names |= {name, *(f"{name}.{one.name}" for one in body if isinstance(one, ast.FunctionDef))}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return frozenset(names)


def _strings_and_fields(*packages: str) -> set[str]:
    """Every string, keyword and field name in some packages: what a metric can be called."""
    found: set[str] = set()
    for path in (p for package in packages for p in (ROOT / "src" / "assent" / package).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Constant(value=str(text)):
                    found.add(text)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(name)
    return found


def _below(block: dict[str, Any]) -> dict[str, Any]:
    """A run that the block completes; the lab wants raters, so simulated ones come with it."""
    is_lab = (block.get("data") or {}).get("kind") == "lab"
    raters = (block.get("collect") or {}).get("raters") or {}
    if is_lab or raters.get("kind") == "simulated":
        lab = {"data": {"kind": "lab"}, "collect": {"raters": {"kind": "simulated"}}}
        return {"base": {"kind": "scratch"}, **lab}
    return A_RUN_ON_FILES


@functools.cache
def _build_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_reference", ROOT / "docs" / "build_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
