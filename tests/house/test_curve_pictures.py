"""The pictures on the methods' pages are drawn from the right logs and tables, and show what their pages explain."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from assent.artifacts.identity import resolved
from assent.artifacts.store import ArtifactStore, Manifest
from assent.core import seeds
from assent.pipeline.stages.settings import OptimizeStage
from assent.training.config import methods

ROOT = Path(__file__).parents[2]
METHODS = ROOT / "docs" / "methods"
CURVES = re.compile(r"^\| curve \|.*\n(?:\|.*\n)+", re.MULTILINE)


@pytest.fixture(scope="module")
def built() -> ModuleType:
    return _loaded("build_curves")


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    return _loaded("build_result_pictures")


def test_every_method_has_a_picture(built: ModuleType) -> None:
    assert {sheet.of for sheet in built.SHEETS} == {*methods(), "sft", "reward"}


def test_a_picture_shows_numbers_that_its_page_explains(built: ModuleType) -> None:
    unexplained = []
    for sheet in built.SHEETS:
        text = (METHODS / f"{sheet.page}.md").read_text(encoding="utf-8")
        section = text.partition("\n## Curves\n")[2].partition("\n## ")[0]
        explained = _explained(section) | (_explained(_text("ppo")) if "(ppo.md)" in section else set())
        unexplained += [f"{sheet.page}: {name}" for name in sheet.shown if name not in explained]
    assert not unexplained


def test_the_log_of_a_method_is_told_from_those_of_its_variants_and_of_other_seeds(
    built: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _made(built, tmp_path, "dpo", [0.7, 0.6, 0.5], seed=1)
    _made(built, tmp_path, "dpo:beta=0.5", [9.0, 9.0, 9.0], seed=1)
    _made(built, tmp_path, "dpo", [8.0, 8.0, 8.0], seed=2, below="methods-1")
    page, said = _drawn(built, tmp_path, monkeypatch, capsys)
    assert "seed 1: loss 0.70 to 0.50](../images/curves-dpo.svg)\n\n| curve |" in page
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["curves-dpo.svg"]
    assert "dpo, seed 2: no log" in said and "ppo, seed 1: no log" in said
    assert "dpo, seed 1: the log has no accuracy; drawn without it" in said
    assert _drawn(built, tmp_path, monkeypatch, capsys)[0] == page, "drawn again, a picture stands in its own place"


def test_a_picture_stands_alone_in_light_and_dark(
    built: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (1, 2):
        _made(built, tmp_path, "dpo", [0.7, 0.6, 0.5], seed=seed)
    _drawn(built, tmp_path, monkeypatch, capsys)
    text = (tmp_path / "images" / "curves-dpo.svg").read_text(encoding="utf-8")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    light, dark = re.findall(r":root \{(.*?)\}", text)
    used = set(re.findall(r"var\(--(\w+)\)", text))
    assert used <= set(re.findall(r"--(\w+):", light))
    assert used - {"sans"} <= set(re.findall(r"--(\w+):", dark))
    assert {"seed 1", "seed 2"} <= set(re.findall(r">(seed \d)<", text))


def test_pictures_of_results_show_what_the_results_say(drawing: ModuleType) -> None:
    results = drawing.RESULTS.read_text(encoding="utf-8")
    stale = []
    for one in drawing.PICTURES:
        said = drawing.described(one, results)
        svg = ET.fromstring((ROOT / "docs" / "images" / one.name).read_text(encoding="utf-8"))
        title = svg.findtext("{http://www.w3.org/2000/svg}title")
        if title != said or f"![{said}](../images/{one.name})" not in _text(one.page).splitlines():
            stale.append(one.name)
    assert not stale, "out of date: python docs/build_result_pictures.py"


def test_a_table_is_read_with_its_intervals_and_what_has_none_is_named(drawing: ModuleType) -> None:
    results = "\n## Two\n\n| a | b |\n|---|---|\n| no | 1.0 [0.0, 2.0] |\n\n## One\n\n| a | `b` |\n|---|---|\n"
    results += "| **x** | +0.5 (−0.25 [−0.5, +0.0]) |\n| y | 3.0 |\n| z | **12.5% [10%, 15%]** |\n\nwords\n"
    part = drawing.Part("p", ("b",), "shares")
    rows, missing = drawing.read(part, drawing.Picture("page", "One", "| a |", "t", (part,)), results)
    assert [(name, one.estimate, one.low, one.high) for name, (one,) in rows] == [
        ("x", -0.25, -0.5, 0.0),
        ("z", 0.125, 0.1, 0.15),
    ]
    assert missing == ["y"]
    with pytest.raises(SystemExit, match="no table"):
        drawing.table(results, "One", "| c |")


def _loaded(name: str) -> ModuleType:
    """A script of docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


def _text(page: str) -> str:
    return (METHODS / f"{page}.md").read_text(encoding="utf-8")


def _explained(section: str) -> set[str]:
    """Names in the first column of tables of curves."""
    rows = [row for table in CURVES.findall(section) for row in table.splitlines()]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def _made(
    built: ModuleType, runs: Path, method: str, losses: Sequence[float], *, seed: int, below: str | None = None
) -> None:
    """A policy as the benchmark leaves it, with this log."""
    config = resolved(OptimizeStage.of(built.config_of(method, seed, runs)))
    store = ArtifactStore(runs / (below or f"methods-{seed}") / "artifacts", say=print)
    output = runs / "output"
    output.mkdir()
    rows = [{"step": step, "kind": "train", "loss": loss} for step, loss in enumerate(losses)]
    (output / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    drawn, key = seeds.derive(seed, "optimize", "round", 1), f"{len(store.all()):064}"[::-1]
    store.commit(
        output, Manifest(kind="policy", key=key, stage="optimize", version=1, config=config, seed=drawn, created=key)
    )


def _drawn(
    built: ModuleType, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[str, str]:
    """The page of DPO after a run of the command, and what the command said."""
    images, pages = runs / "images", runs / "pages"
    for folder in (images, pages):
        folder.mkdir(exist_ok=True)
    if not (pages / "dpo.md").exists():
        (pages / "dpo.md").write_text(re.sub(r"^!\[.*\n\n", "", _text("dpo"), flags=re.MULTILINE), encoding="utf-8")
    monkeypatch.chdir(ROOT)
    argv = ["build_curves.py", "--runs", str(runs), "--images", str(images), "--pages", str(pages)]
    monkeypatch.setattr(sys, "argv", [*argv, "--seeds", "1", "2"])
    capsys.readouterr()
    built.main()
    return (pages / "dpo.md").read_text(encoding="utf-8"), capsys.readouterr().out
