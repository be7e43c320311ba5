"""The arena: every comparison of two answers by two models, and the table of models that all of them make together.

People, judges and reward models are kept apart, each with a table of its own, or put together with stated weights. The
table may be taken at equal style: what length, headings, lists and bold text alone win is then fitted apart
(Li et al. 2024, "Does style matter?"). Intervals come from drawing prompts again, never single votes: votes on one
prompt hang together.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from pydantic import Field

from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.errors import DataError
from assent.core.types import Comparison, RaterKind, Record
from assent.stats.bradley_terry import Floats, Meetings, Strengths, fit_strengths, share_of
from assent.stats.clustered import numbered, student
from assent.stats.estimate import Estimate

VERDICTS = "verdicts.jsonl"
"""In the artifact of an evaluation: what every rater said of every pair."""
STYLE = ("length", "headings", "lists", "bold")
"""Differences of style, in this order: (a - b) / (a + b) of characters, and of marks per character."""
MANY_TIES = 0.1
"""From this share of ties on they are modelled as Davidson has them; below each is half a win for both."""
_MARKS = (
    re.compile(r"^#{1,6}\s", re.MULTILINE),
    re.compile(r"^\s*(?:[-*+]|\d+[.)])\s", re.MULTILINE),
    re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
)
_FEWEST_PROMPTS = 5
_REFITTED = 3  # Newton steps of a table whose prompts were drawn again, from the table of all of them


@dataclass(frozen=True)
class Met:
    """Two models met on a prompt, and somebody said which answer is better."""

    first: str
    second: str
    score: float
    """1 the first, 0 the second, 0.5 a tie; between, how surely the first."""
    prompt: str
    kind: str
    """Of who said it: person, autorater, reward_model, …"""
    style: tuple[float, ...] = (0.0,) * len(STYLE)
    weight: float = 1.0
    """A ranking of K answers counts like K - 1 comparisons: 2 / K for each of its pairs."""


class Place(Record):
    """A model in the table."""

    model: str
    strength: Estimate
    """Log-odds of being preferred to the average model of the table."""
    share: Estimate
    """The share of wins against it, ties half, that this stands for."""
    rank: tuple[int, int]
    """Best and worst place that the intervals allow."""
    battles: int


class Table(Record):
    """A table of models, strongest first."""

    kind: str
    """Whose comparisons: a kind of raters, or together."""
    places: tuple[Place, ...]
    style: dict[str, Estimate] = Field(default_factory=dict)
    """Logits that a lead in each style wins by itself; empty where style was not taken out, or never differed."""
    ties: float
    """Share of comparisons that are ties."""
    prompts: int
    battles: int
    apart: tuple[str, ...] = ()
    """Models that no chain of comparisons joins to the strongest: their places say nothing."""


def met_in(comparisons: Iterable[Comparison], kinds: Mapping[str, RaterKind]) -> list[Met]:
    """Every pair of answers by two known models that a judgment compares; `kinds` are those of the raters."""
    found = []
    for comparison in comparisons:
        by_id = {c.id: c for c in comparison.completions}
        for judgment in comparison.judgments:
            rank = {} if judgment.ranking is None else judgment.ranking.rank()
            for a, b in combinations(sorted(rank), 2):
                one, other = by_id[a], by_id[b]
                if one.source and other.source and one.source != other.source:
                    lead = rank[b] - rank[a]
                    found.append(
                        Met(
                            one.source,
                            other.source,
                            0.5 if lead == 0 else float(lead > 0),
                            comparison.prompt.id,
                            kinds.get(judgment.rater_id, "person"),
                            style_of(one.text, other.text),
                            2 / len(rank),
                        )
                    )
    return found


def met_in_runs(made: Iterable[Artifact]) -> list[Met]:
    """Every verdict that evaluations of runs have kept, on the policies that they compared, by their artifacts' names.

    Of an evaluation from before verdicts were kept there is none. Raises DataError for a line that is no verdict.
    """
    everything = list(made)
    names = {one.key: one.name for one in everything}
    found = []
    for one in everything:
        if one.kind != "evaluation" or not (path := one.folder / VERDICTS).is_file():
            continue
        new, old = (names.get(one.manifest.parents.get(side, ""), side) for side in ("policy", "baseline"))
        kind = _kind_of_judge(one)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                said = json.loads(line)
                style = tuple(said.get("style") or (_lead(said["new_length"], said["baseline_length"]), 0.0, 0.0, 0.0))
                found.append(Met(new, old, float(said["score"]), str(said["prompt_id"]), kind, style))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DataError("no verdict; make it again with: assent run", path=path, line=number) from None
    return found


def _kind_of_judge(evaluation: Artifact) -> str:
    raters = evaluation.manifest.config.get("raters") if isinstance(evaluation.manifest.config, dict) else None
    kind = raters.get("kind") if isinstance(raters, dict) else "reward_model"
    return "person" if kind == "people" else str(kind)


def constant_models(comparisons: Iterable[Comparison]) -> dict[str, float]:
    """Models that give one answer to most prompts, with the share: such a one can win by what all judges like.

    Of models with answers to five prompts or more.
    """
    said: dict[str, dict[str, str]] = {}
    for comparison in comparisons:
        for completion in comparison.completions:
            if completion.source:
                said.setdefault(completion.source, {})[comparison.prompt.id] = completion.text
    found = {}
    for model, answers in sorted(said.items()):
        most = Counter(answers.values()).most_common(1)[0][1] / len(answers)
        if len(answers) >= _FEWEST_PROMPTS and most > 0.5:
            found[model] = most
    return found


def style_of(first: str, second: str) -> tuple[float, ...]:
    """How two texts differ in style; each part lies between -1 and 1."""
    found = [_lead(len(first), len(second))]
    for mark in _MARKS:
        one, other = (len(mark.findall(text)) / (len(text) + 1) for text in (first, second))
        found.append(_lead(one, other))
    return tuple(found)


def _lead(one: float, other: float) -> float:
    return (one - other) / (one + other) if one + other else 0.0


def tables(
    met: Sequence[Met],
    *,
    weights: Mapping[str, float] | None = None,
    controls_style: bool = False,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Table]:
    """A table for each kind of raters, and with `weights`, by kind, one of all of them together.

    A kind that `weights` does not name is not in the common table. Empty where nobody compared two models.
    """
    kinds = list(dict.fromkeys(one.kind for one in met))
    sets = [(kind, [one for one in met if one.kind == kind]) for kind in kinds]
    if weights:
        weighed = [replace(one, weight=one.weight * weights.get(one.kind, 0.0)) for one in met]
        sets.append(("together", [one for one in weighed if one.weight > 0]))
    how = {"controls_style": controls_style, "draws": draws, "seed": seed, "confidence": confidence}
    return [table(some, kind=kind, **how) for kind, some in sets if some]  # type: ignore[arg-type]


def table(
    met: Sequence[Met],
    *,
    kind: str = "together",
    controls_style: bool = False,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Table:
    """The table of all these comparisons. Raises ValueError for none."""
    if not met:
        raise ValueError("a table of models wants at least one comparison")
    differing = [n for n in range(len(STYLE)) if controls_style and any(one.style[n] for one in met)]
    names, problem, weights = _problem(met, differing)
    ties = float(sum(one.weight for one in met if one.score == 0.5) / sum(one.weight for one in met))
    has_ties = ties >= MANY_TIES
    fitted = fit_strengths(problem, weights, has_ties=has_ties)
    index, prompts = numbered([one.prompt for one in met])
    again = _drawn_again(problem, weights, (index, prompts), fitted, has_ties=has_ties, draws=draws, seed=seed)
    reach = student(prompts - 1, confidence) * math.sqrt(prompts / max(prompts - 1, 1))
    values = _intervals(fitted.values, [one.values for one in again], reach)
    effects = _intervals(fitted.effects, [one.effects for one in again], reach)
    joined = _joined(names, met, max(names, key=lambda name: fitted.values[names.index(name)]))
    places = [
        Place(
            model=name,
            strength=value,
            share=share_of(value),
            rank=_rank(value, values),
            battles=sum(name in (one.first, one.second) for one in met),
        )
        for name, value in zip(names, values, strict=True)
    ]
    return Table(
        kind=kind,
        places=tuple(sorted(places, key=lambda place: (-place.strength.estimate, place.model))),
        style={STYLE[n]: effect for n, effect in zip(differing, effects, strict=True)},
        ties=ties,
        prompts=prompts,
        battles=len(met),
        apart=tuple(name for name in names if name not in joined),
    )


def _problem(met: Sequence[Met], differing: Sequence[int]) -> tuple[list[str], Meetings, Floats]:
    names = sorted({name for one in met for name in (one.first, one.second)})
    place = {name: number for number, name in enumerate(names)}
    style = np.array([[one.style[n] for n in differing] for one in met], float).reshape(len(met), len(differing))
    problem = Meetings(
        np.array([place[one.first] for one in met]),
        np.array([place[one.second] for one in met]),
        np.array([one.score for one in met], float),
        len(names),
        style,
    )
    return names, problem, np.array([one.weight for one in met], float)


def _drawn_again(
    problem: Meetings,
    weights: Floats,
    clusters: tuple[np.ndarray, int],
    fitted: Strengths,
    *,
    has_ties: bool,
    draws: int,
    seed: int,
) -> list[Strengths]:
    """Tables of prompts drawn with replacement; none with a single prompt."""
    index, count = clusters
    if count < 2:
        return []
    random, found = seeds.stream(seed, "arena"), []
    for _ in range(draws):
        times = random.multinomial(count, np.full(count, 1 / count))
        drawn = weights * times[index]
        found.append(fit_strengths(problem, drawn, has_ties=has_ties, start=fitted, steps=_REFITTED))
    return found


def _intervals(values: Floats, again: Sequence[Floats], reach: float) -> list[Estimate]:
    """Each number with what the draws spread by; infinite ends without draws."""
    half = np.array(again).std(axis=0, ddof=1) * reach if len(again) > 1 else np.full(len(values), math.inf)
    return [Estimate(estimate=float(v), low=float(v - h), high=float(v + h)) for v, h in zip(values, half, strict=True)]


def _rank(one: Estimate, others: Sequence[Estimate]) -> tuple[int, int]:
    """Best: 1 + those surely stronger. Worst: the number of those not surely weaker, itself among them."""
    return 1 + sum(other.low > one.high for other in others), sum(other.high >= one.low for other in others)


def _joined(names: Sequence[str], met: Sequence[Met], first: str) -> set[str]:
    """The models that chains of comparisons join to one."""
    near: dict[str, set[str]] = {name: set() for name in names}
    for one in met:
        near[one.first].add(one.second)
        near[one.second].add(one.first)
    found, todo = {first}, [first]
    while todo:
        new = near[todo.pop()] - found
        found |= new
        todo += new
    return found
