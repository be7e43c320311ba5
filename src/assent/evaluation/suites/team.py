"""A team's own suite: rows, and how answers to them are measured, in one YAML file.

    about: Answers of the help desk.
    include: [shared.yaml]          # further rows; what this file does not say is taken from there
    rows: questions.jsonl           # or the rows themselves
    metric: contains                # exact, f1, contains, numeric, regex, choice
    target: desk.checks:polite      # a Python function of (prompts, answers); a row's columns stand in prompt.meta
    criteria: [helpful, honest]     # scores of the judge that count, each a measure

A row has `prompt`; beside it `reference` or `references` (exact, f1, contains, numeric), `pattern` (regex), or
`options` and the right one as `answer` (choice); `group` and `cluster` where there are some.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from assent.artifacts.identity import hash_whole
from assent.artifacts.modules import source_hash_of
from assent.checks import references
from assent.core.config import Config, overlay, read_yaml
from assent.core.errors import ConfigError
from assent.core.scoring import ScoreFunction
from assent.core.types import Prompt
from assent.data.rows import Row
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.judged import UNJUDGED, judged
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.preferences import credit, preferences
from assent.evaluation.suites.config import OwnConfig
from assent.evaluation.suites.references import references_of

_HELP = {
    "exact": "Share of answers that say what a reference says.",
    "f1": "Mean overlap of words with the reference that fits best.",
    "contains": "Share of answers in which a reference stands.",
    "numeric": "Share of answers whose last number is that of a reference.",
    "regex": "Share of answers in which the row's pattern is found.",
    "choice": "Share of rows whose right option is liked best.",
}
KINDS: Mapping[str, Kind] = {
    **{name: Kind(text) for name, text in _HELP.items()},
    "target": Kind("Mean of the team's own function.", range=None),
}
LONGEST = 20_000
"""Characters of an answer that a pattern is looked for in: a pattern may be slow."""


class SuiteFile(Config):
    """What a team's file holds, with what it includes."""

    about: str = ""
    """What it measures, in a sentence."""
    rows: str | tuple[dict[str, Any], ...] = ()
    """A file with rows, or the rows themselves."""
    metric: str | None = None
    """How answers are measured by rule."""
    target: str | None = None
    """A Python function that measures them."""
    criteria: tuple[str, ...] = Field(default=())
    """Scores of the judge that count."""


@dataclass(frozen=True)
class Read:
    """A file with everything that it includes."""

    settings: SuiteFile
    rows: tuple[Row, ...]
    files: tuple[Path, ...]
    """Every file that was read."""


@dataclass(frozen=True)
class Item:
    """A row as it is asked."""

    id: str
    prompt: Prompt
    cluster: str
    group: str
    wanted: tuple[str, ...]
    """References, one pattern, or options with the right one first."""


def read(path: Path, within: tuple[Path, ...] = ()) -> Read:
    """A file and all that it includes. Raises ConfigError for a circle, an unknown metric, or nothing to measure."""
    here = path.resolve()
    if here in within:
        circle = " includes ".join(one.name for one in (*within[within.index(here) :], here))
        raise ConfigError(f"{path}: {circle}; a suite cannot include itself")
    values = read_yaml(path)
    included = values.pop("include", [])
    if not isinstance(included, list) or not all(isinstance(one, str) for one in included):
        raise ConfigError(f"{path}: include should be a list of files, got {included!r}")
    parts = [read(path.parent / one, (*within, here)) for one in included]
    below: dict[str, Any] = {}
    for part in parts:
        below = overlay(below, part.settings.model_dump(exclude={"rows"}, exclude_unset=True))
    settings = SuiteFile.parse(overlay(below, values), where=str(path))
    rows, files = _rows(path, settings.rows)
    every = (*(row for part in parts for row in part.rows), *rows)
    if not within:
        _check(path, settings, every)
    return Read(settings, every, (path, *files, *(one for part in parts for one in part.files)))


def load(config: OwnConfig) -> list[Item]:
    """The rows as they are asked. Raises DataError for a row without what the metric wants."""
    found = read(config.path)
    return [_item(row, found.settings.metric, number) for number, row in enumerate(found.rows)]


def examine(config: OwnConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """What the metric, the function and the judge say of each answer."""
    settings = read(config.path).settings
    prompts = [one.prompt for one in items]
    values: list[dict[str, float]] = [{} for _ in items]
    answers, missing = [""] * len(items), [""] * len(items)
    if settings.metric == "choice":
        liked = preferences(exam.subject, prompts, [one.wanted for one in items])
        for place, (one, found) in enumerate(zip(items, liked, strict=True)):
            values[place]["choice"], answers[place] = credit(found)[0], one.wanted[found.index(max(found))]
    if settings.metric != "choice" or settings.target or settings.criteria:
        answers = exam.subject.answers(prompts, sampling=config.sampling, seed=exam.seed)
    if settings.metric is not None and settings.metric != "choice":
        for value, one, answer in zip(values, items, answers, strict=True):
            value[settings.metric] = _METRICS[settings.metric](answer, one.wanted)
    if settings.target is not None:
        for value, score in zip(values, ScoreFunction.load(settings.target)(prompts, answers), strict=True):
            value["target"] = score
    if settings.criteria:
        scores = judged(exam.judge, prompts, answers, config.scale)
        _refuse_unknown(settings.criteria, [name for by, _ in scores for name in by])
        for place, (by, why) in enumerate(scores):
            values[place] |= {name: by[name] for name in settings.criteria if name in by}
            missing[place] = why
    return [
        Outcome(
            item=one.id,
            cluster=one.cluster,
            values=value,
            group=one.group,
            prompt=one.prompt.text,
            answer=answer,
            note=why or ("" if answer.strip() else "empty answer"),
        )
        for one, value, answer, why in zip(items, values, answers, missing, strict=True)
    ]


def measures(config: OwnConfig) -> Mapping[str, Kind]:
    """A measure for the metric, the function and each criterion."""
    settings = read(config.path).settings
    names = [settings.metric, "target" if settings.target else None, *settings.criteria]
    return {name: KINDS.get(name) or criterion(name) for name in names if name is not None}


def criterion(name: str) -> Kind:
    """What a criterion of the judge is as a measure."""
    return Kind(f"Mean score of {name} by the judge, 0 to 1.")


def beside(config: OwnConfig) -> Mapping[str, str]:
    """Hashes of all files that are read, and of the function's source."""
    found = read(config.path)
    hashes = {str(one): hash_whole(one) for one in found.files}
    target = found.settings.target
    return hashes if target is None else {**hashes, target: source_hash_of(target)}


def _rows(path: Path, said: str | tuple[dict[str, Any], ...]) -> tuple[tuple[Row, ...], tuple[Path, ...]]:
    if isinstance(said, str):
        file = path.parent / said
        return tuple(rows_of(file)), (file,)
    return tuple(Row(dict(values), str(path), number) for number, values in enumerate(said, start=1)), ()


def _check(path: Path, settings: SuiteFile, rows: Sequence[Row]) -> None:
    known = tuple(_HELP)
    if settings.metric is not None and settings.metric not in known:
        near = difflib.get_close_matches(settings.metric, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise ConfigError(f"{path}: unknown metric {settings.metric!r}; {hint}")
    if not (settings.metric or settings.target or settings.criteria):
        raise ConfigError(f"{path}: nothing is measured; give a metric, a target or criteria")
    if settings.target is not None:
        ScoreFunction.refuse_absent(settings.target)
    if not rows:
        raise ConfigError(f"{path}: no rows; give some under rows, or name a file there")


def _item(row: Row, metric: str | None, number: int) -> Item:
    prompt = Prompt(**{**Prompt.of(row.text("prompt")).model_dump(), "meta": {**row.values}})
    wanted: tuple[str, ...] = ()
    if metric == "regex":
        wanted = (row.text("pattern"),)
        try:
            re.compile(wanted[0])
        except re.error as error:
            raise row.error(f"'pattern' is no regular expression: {error}") from None
    elif metric == "choice":
        options, answer = [row.spoken(one, "options") for one in row.listed("options")], row.text("answer")
        if options.count(answer) != 1 or len(options) < 2:
            raise row.error(f"'answer' {answer[:60]!r} should stand once among 'options', and those are 2 at least")
        wanted = (answer, *(one for one in options if one != answer))
    elif metric is not None:
        wanted = references_of(row)
    cluster = row.optional_text("cluster") or prompt.id
    return Item(f"{prompt.id}-{number}", prompt, cluster, row.optional_text("group"), wanted)


def _refuse_unknown(wanted: Sequence[str], given: Sequence[str]) -> None:
    for name in wanted:
        if name not in given:
            near = difflib.get_close_matches(name, set(given), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it scores {', '.join(sorted(set(given)))}"
            raise ConfigError(f"the judge scores no criterion {name!r}; {hint}")


_METRICS: Mapping[str, Callable[[str, tuple[str, ...]], float]] = {
    "exact": references.exact,
    "f1": references.token_f1,
    "contains": references.contains,
    "numeric": lambda answer, wanted: references.numeric(answer, wanted, tolerance=1e-6),
    "regex": lambda answer, wanted: float(re.search(wanted[0], answer[:LONGEST]) is not None),
}


SUITE = Suite(
    config=OwnConfig,
    kinds=KINDS,
    abilities=frozenset({"answers", "likelihoods"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.cluster),
    wants_judge=lambda config: bool(read(config.path).settings.criteria),
    criteria=lambda config: read(config.path).settings.criteria,
    measured=measures,
    beside=beside,
    notes=lambda config, outcomes: {
        "about": read(config.path).settings.about,
        "answers without a score": sum(one.note.startswith(UNJUDGED) for one in outcomes),
        "empty answers": sum(not one.answer.strip() for one in outcomes),
    },
)
