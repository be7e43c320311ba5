"""Probes of a judge: what moves its verdict and should not. Every edit is held against a placebo of equal length.

A judge that prefers an answer because it got longer, names an authority or tells the judge what to say is caught by
editing the worse answer of a pair: with the edit it must win no oftener than with a harmless sentence in its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from assent.checks.edits import Edit, edits, placebo
from assent.checks.nulls import CONSTANT
from assent.core.hashing import hash_json, short
from assent.core.types import Completion, Record
from assent.evaluation.validation.labels import LabelledPair, Said, Validated, clustered, said_of, tasks_of
from assent.raters.rater import SingleRater
from assent.stats.clustered import clustered_mean, clustered_share
from assent.stats.estimate import Estimate

PROBED = 200
"""Pairs that each edit is tried on at most."""


class Probe(Record):
    """What one edit does to the worse answer of a pair."""

    edited: Estimate
    """How often the judge prefers the worse answer once it is edited, a tie counting half."""
    placebo: Estimate
    """The same with a harmless sentence of the same length in place of the edit."""
    excess: Estimate
    """edited - placebo, paired by item: what the edit does beyond making the answer longer."""
    n: int


class Biases(Record):
    """What moves a judge and should not; None where it cannot be told."""

    first_shown: Estimate | None = None
    """How often the answer shown first is preferred, over both orders; 0.5 is no lean."""
    position: float | None = None
    """Mean absolute lean to a place, in logits, where the judge gives margins."""
    swap_consistency: Estimate | None = None
    """Share of pairs in which both orders do not contradict each other."""
    longer: Estimate | None = None
    """How much oftener than people the judge prefers the longer answer; paired."""
    own: Estimate | None = None
    """How much oftener than people it prefers answers of its own model; None where none are known to be."""
    probes: dict[str, Probe] = Field(default_factory=dict)
    nulls: dict[str, Estimate] = Field(default_factory=dict)
    """How often an answer without any thought is preferred to the one that people like better."""


def measure_biases(
    found: Validated, judge: SingleRater, *, own_source: str | None = None, limit: int = PROBED
) -> Biases:
    """Ask the judge pairs in the other order, with edits and with null answers; at most `limit` pairs of each.

    Which pairs depends on their ids alone, so that they come from all prompts.
    """
    decided = _drawn([pair for pair, *_ in found.answered() if pair.majority is not None], limit)
    there = list(zip(found.pairs, found.said, strict=True))
    positions = [abs(said.position) for _, said in there if said.position is not None]
    longer = [
        (pick - 0.5 - (pair.share - 0.5), pair.prompt.id) if pair.longer == 1 else (pair.share - pick, pair.prompt.id)
        for pair, _, pick in found.answered()
        if pair.longer != 0.5
    ]
    first_shown, swap = _orders(found, judge, limit=limit)
    return Biases(
        first_shown=first_shown,
        swap_consistency=swap,
        position=sum(positions) / len(positions) if positions else None,
        longer=clustered(clustered_mean, longer),
        own=None if own_source is None else clustered(clustered_mean, _own(found, own_source)),
        probes={edit.name: probe for edit in edits() if (probe := _probe(edit, decided, judge)) is not None},
        nulls={name: share for name, share in _nulls(decided, judge).items() if share is not None},
    )


def _drawn(pairs: Sequence[LabelledPair], limit: int) -> list[LabelledPair]:
    return sorted(pairs, key=lambda pair: hash_json([pair.prompt.id, pair.id]))[:limit]


def _own(found: Validated, source: str) -> list[tuple[float, str]]:
    """The judge's share for its own answers less the people's."""
    values = []
    for pair, _, pick in found.answered():
        is_own = [source in (one.source, one.meta.get("model")) for one in (pair.first, pair.second)]
        if is_own[0] != is_own[1]:
            values.append((pick - pair.share if is_own[0] else pair.share - pick, pair.prompt.id))
    return values


def _orders(found: Validated, judge: SingleRater, *, limit: int) -> tuple[Estimate | None, Estimate | None]:
    """First shown, and consistency, of the pairs as they stand and turned round, as tasks of their own."""
    pairs = _drawn([pair for pair, *_ in found.answered()], limit)
    turned = [LabelledPair(p.prompt, p.second, p.first, {r: 1 - v for r, v in p.votes.items()}) for p in pairs]
    both = [_ask(some, judge, name) for some, name in ((pairs, "as it stands"), (turned, "turned round"))]
    seen, alike = [], []
    for pair, one, other in zip(pairs, *both, strict=True):
        seen += [(said.pick, pair.prompt.id) for said in (one, other) if said.pick is not None]
        if one.pick is not None and other.pick is not None:
            alike.append((float(abs(one.pick - (1 - other.pick)) < 1), pair.prompt.id))
    return clustered(clustered_share, seen), clustered(clustered_share, alike)


def _probe(edit: Edit, pairs: Sequence[LabelledPair], judge: SingleRater) -> Probe | None:
    changed = [edit.change(_worse(pair).text) for pair in pairs]
    placebos = [placebo(_worse(pair).text, len(text)) for pair, text in zip(pairs, changed, strict=True)]
    edited = _wins(pairs, changed, judge, edit.name)
    plain = _wins(pairs, placebos, judge, f"{edit.name} placebo")
    both = [
        (one, other, pair.prompt.id)
        for one, other, pair in zip(edited, plain, pairs, strict=True)
        if one is not None and other is not None
    ]
    if len({cluster for *_, cluster in both}) < 2:
        return None
    clusters = [cluster for *_, cluster in both]
    return Probe(
        edited=clustered_share([one for one, *_ in both], clusters),
        placebo=clustered_share([other for _, other, _ in both], clusters),
        excess=clustered_mean([one - other for one, other, _ in both], clusters),
        n=len(both),
    )


def _wins(pairs: Sequence[LabelledPair], texts: Sequence[str], judge: SingleRater, name: str) -> list[float | None]:
    """How the judge likes each text in the place of the worse answer: 1 preferred, 0.5 tied, None abstained."""
    made = []
    for number, (pair, text) in enumerate(zip(pairs, texts, strict=True)):
        better = _better(pair)
        new = Completion(prompt_id=pair.prompt.id, text=text, id=f"c-{short(hash_json([name, number, text]))}")
        # Which comes first depends on the item and not on which of them is edited.
        sides = (new, better) if int(hash_json(pair.id)[:2], 16) % 2 else (better, new)
        made.append(LabelledPair(pair.prompt, *sides, {"people": 1.0 if sides[0] is better else 0.0}))
    said = _ask(made, judge, name)
    return [
        None if one.pick is None else one.pick if pair.first.text == text else 1 - one.pick
        for one, pair, text in zip(said, made, texts, strict=True)
    ]


def _nulls(pairs: Sequence[LabelledPair], judge: SingleRater) -> dict[str, Estimate | None]:
    answers = {
        "constant": [CONSTANT for _ in pairs],
        "echo": [pair.prompt.messages[-1].content or CONSTANT for pair in pairs],
        "empty": ["" for _ in pairs],
        "longest": [" ".join([CONSTANT] * (1 + len(_better(pair).text) // len(CONSTANT))) for pair in pairs],
    }
    found = {}
    for name, texts in answers.items():
        wins = _wins(pairs, texts, judge, f"null {name}")
        said = [(win, pair.prompt.id) for win, pair in zip(wins, pairs, strict=True) if win is not None]
        found[name] = clustered(clustered_share, said)
    return found


def _ask(pairs: Sequence[LabelledPair], judge: SingleRater, name: str) -> list[Said]:
    tasks = tasks_of(pairs, name=f"probe {name}")
    return said_of(tasks, judge.judge(tasks))


def _better(pair: LabelledPair) -> Completion:
    return pair.first if pair.majority == 1 else pair.second


def _worse(pair: LabelledPair) -> Completion:
    return pair.second if pair.majority == 1 else pair.first
