"""`assent arena`: one table of models from every comparison in runs, projects of a store and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assent.artifacts.layout import RUN_SETTINGS
from assent.artifacts.project import RunFolder, is_run
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.errors import ConfigError, UserError
from assent.core.types import Comparison, Purpose, RaterKind
from assent.data.config import Source
from assent.data.load import load_comparisons
from assent.feedback.arena import Met, Table, constant_models, met_in, met_in_runs, tables
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.terminal import note


@dataclass(frozen=True)
class Asked:
    """Where comparisons are taken from."""

    runs: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()
    store_url: str | None = None
    projects: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    """"kind=weight" for a table of all kinds together."""


def arena(asked: Asked, *, controls_style: bool, draws: int, to: Path | None) -> Iterator[str]:
    """The tables, a line at a time; as JSON too, where `to` says so. Raises UserError where nobody met anybody."""
    met, constant = _met(asked)
    if not met:
        raise UserError("no comparison of two named models was found; name a run, a project or a file that has some")
    weights = weights_of(asked.weights)
    found = tables(met, weights=weights, controls_style=controls_style, draws=draws)
    for one in found:
        yield from lines(one)
    for model, share in constant.items():
        yield f"warning: {model} gave one and the same answer to {share:.0%} of its prompts; its place is no merit"
    if to is not None:
        files.write_json(to, {"tables": [one.model_dump(mode="json") for one in found], "constant": constant})
        yield f"wrote {to}"


def weights_of(said: Sequence[str]) -> dict[str, float]:
    """What "kind=weight" says. Raises ConfigError."""
    found = {}
    for one in said:
        kind, _, number = one.partition("=")
        try:
            found[kind] = float(number)
        except ValueError:
            raise ConfigError(f"--weight wants kind=number, such as person=1 or autorater=0.3, got {one!r}") from None
        if not 0 <= found[kind] < float("inf"):
            raise ConfigError(f"--weight {one}: a weight is a number of 0 or more")
    return found


def lines(table: Table) -> Iterator[str]:
    """A table in words, strongest first."""
    yield (
        f"{table.kind}: {table.battles} comparisons on {table.prompts} prompts, {table.ties:.0%} ties"
        + (", at equal style" if table.style else "")
    )
    width = max(len(place.model) for place in table.places)
    for place in table.places:
        best, worst = place.rank
        rank = str(best) if best == worst else f"{best} to {worst}"
        apart = "  (met nobody of the others)" if place.model in table.apart else ""
        said = f"{place.share.estimate:.1%} [{place.share.low:.1%}, {place.share.high:.1%}]"
        yield f"  {rank:>8}  {place.model:{width}}  {said} against the average, {place.battles} comparisons{apart}"
    for name, effect in table.style.items():
        yield f"  a lead in {name} alone wins {effect} logits"


def _met(asked: Asked) -> tuple[list[Met], dict[str, float]]:
    met: list[Met] = []
    comparisons: list[Comparison] = []
    made: dict[str, Artifact] = {}
    for run in asked.runs:
        if not is_run(run):
            raise UserError(f"{run} is no run: it has no {RUN_SETTINGS}; name a folder such as runs/first")
        made |= {artifact.key: artifact for artifact in RunFolder(run).artifacts()}  # runs may share an evaluation
    met += met_in_runs(made.values())
    if asked.data:
        loaded, _ = load_comparisons([Source(path=path) for path in asked.data])
        comparisons += loaded
        met += met_in(loaded, {})
    if asked.projects:
        from_store, kinds = _of_store(asked)
        comparisons += from_store
        met += met_in(from_store, kinds)
    return met, constant_models(comparisons)


def _of_store(asked: Asked) -> tuple[list[Comparison], Mapping[str, RaterKind]]:
    config = StoreConfig() if asked.store_url is None else StoreConfig(url=asked.store_url)
    if not config.exists:
        raise UserError(f"there is no store at {config.shown}; correct --store")
    found = []
    purposes: tuple[Purpose, ...] = ("reward", "evaluation")
    with Store.open(config.url) as store:
        known = {project.name for project in store.projects.all()}
        for name in asked.projects:
            if name not in known:
                raise UserError(f"there is no project {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
            found += [one for purpose in purposes for one in store.comparisons(Queue(name, purpose))]
            note(store.events, "arena", project=name)
        return found, {rater.id: rater.kind for rater in store.raters()}
