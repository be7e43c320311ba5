"""Project folders: making one, bringing in rankings that exist already, and looking at data files."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from assent.artifacts.jsonl import Records
from assent.artifacts.layout import PROJECT
from assent.core import files
from assent.core.errors import DataError, UserError
from assent.core.progress import Screen
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.config import Source
from assent.data.example import example
from assent.data.inspect import Item, inspect
from assent.data.load import lay_comparisons, lay_conversations, lay_prompts
from assent.data.load_report import LoadReport
from assent.data.render import Renderer
from assent.data.sources.detect import NothingFits
from assent.feedback.said_files import read_said
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.pipeline.imported import IMPORTED, count_of
from assent.pipeline.places import open_project

Reading = Callable[..., tuple[Sequence[Any], LoadReport]]
STARTER = (
    "data/demonstrations.jsonl",
    "data/ratings.jsonl",
    "data/more-ratings.jsonl",
    "data/answers.jsonl",
    "data/questions.yaml",
    "data/behaviours.jsonl",
    "suites.yaml",
    "judge.yaml",
    "my_rewards.py",
    "README.md",
    PROJECT.name,
)
"""What a new project holds; the settings last, so that a folder with settings is a whole one."""
QUARANTINE = "quarantine.jsonl"


def make_project(folder: Path) -> list[str]:
    """Make a project folder and say what to do next. Raises UserError where the folder holds anything already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; choose another folder")
    starter = resources.files("assent.pipeline").joinpath("starter")
    written: list[Path] = []
    try:
        for name in STARTER:
            written.append(folder / name)
            files.write_bytes(folder / name, starter.joinpath(name).read_bytes())
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):  # where no file could be made, none can be removed
                path.unlink()
        raise
    with Store.open(open_project(folder / PROJECT).config.store.url):
        pass
    return [
        f"made {folder}: {PROJECT}, data/ with examples, README.md, and a store for judgments",
        *([] if folder.resolve() == Path.cwd() else [f"next: cd {folder}"]),
        "then: assent doctor, assent run",
    ]


def import_files(config: Path, paths: Sequence[Path], *, format: str = "auto", skip_bad: bool = False) -> Iterator[str]:
    """Put the rankings of all files into the project's store, or none of them; the same ones again add nothing.

    Bad rows end it with DataError, or go into quarantine.jsonl beside the project's YAML with `skip_bad`.
    """
    project = open_project(config)
    sources = [_source(str(path), format=format, skip_bad=skip_bad, where="assent import") for path in paths]
    said, report = read_said(sources, quarantine=config.parent / QUARANTINE)
    with Store.open(project.config.store.url) as store:
        counts = store.import_comparisons(said.comparisons, IMPORTED, now=time.time())
        note(store.events, "import", about=str(counts.added), project=IMPORTED.project)
        total = store.listing.with_comparisons(IMPORTED, count_of)
    yield from (*report.lines(), *said.lines())
    yield f"{counts.added} judgments added, {counts.known} known already, {counts.new_raters} new raters"
    yield from counts.lines()
    yield f"{total} imported judgments are in {project.config.store.shown}"


def inspect_files(
    names: Sequence[str], *, model: str | None = None, format: str = "auto", skip_bad: bool = False
) -> Iterator[str]:
    """Reports on data files, folders or hub datasets, each for itself.

    With `model` (of a run, a folder, or the hub) lengths in its tokens too, and the first row as the model reads it.
    """
    if model is not None:
        from assent.artifacts.find import model_folder
        from assent.models.tokenizer import load_tokenizer

    renderer = None if model is None else Renderer(load_tokenizer(model_folder(model), pad_token=None))
    for name in names:
        source = _source(name, format=format, skip_bad=skip_bad, where="assent data inspect")
        items, report = load_any(source)
        yield from report.lines()
        with Screen(sys.stderr).bar(f"{name}: reading", len(items), is_aside=True) as bar:
            found = inspect(items, renderer, on_item=bar.advance)
        for line in (*found.lines(), *example(items[0], renderer)):
            yield f"  {line}"


def _source(name: str, *, format: str, skip_bad: bool, where: str) -> Source:
    """A file or folder where there is one or where the name has a path's ending; else a dataset on the hub."""
    is_path = Path(name).exists() or Path(name).suffix != "" or name.count("/") != 1
    return Source.parse({"path" if is_path else "hub": name, "format": format, "skip_bad": skip_bad}, where=where)


def load_any(source: Source) -> tuple[Sequence[Item], LoadReport]:
    """A source as what its rows say most about, in a file aside: comparisons, else demonstrations, else prompts."""
    readings: list[tuple[type[Item], Reading]] = [
        (Comparison, lay_comparisons),
        (Conversation, lay_conversations),
        (Prompt, lay_prompts),
    ]
    # The first usable row decides, so that a bad one further down is an error and not another reading.
    probe = source.model_copy(update={"skip_bad": True, "limit": 1})
    problems: list[DataError] = []
    for kind, load in readings:
        try:
            _laid(kind, load, probe)
        except DataError as problem:
            problems.append(problem)
        else:
            return _laid(kind, load, source)
    # What is wrong with rows of a format says more than that a file is not of another.
    raise next((problem for problem in problems if not isinstance(problem, NothingFits)), problems[0])


def _laid(kind: type[Any], load: Reading, source: Source) -> tuple[Sequence[Any], LoadReport]:
    return load([source], lambda _, items: Records.aside(kind, items))
