"""The gate's decision: PASS, FAIL or UNDECIDED for every line and for the whole, in plain words.

A line that was not measured fails. The whole passes where all lines pass; then it errs as rarely as a single line, and
the number of lines costs nothing (intersection-union test, Berger 1982).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assent.core.errors import ConfigError
from assent.core.types import Record
from assent.evaluation.gate.config import Gain, GateConfig, Keep, Line
from assent.evaluation.gate.evidence import AGAINST, OWN, REWARD, WINRATE, Compared, Evidence
from assent.evaluation.gate.judge import refusal_of
from assent.evaluation.gate.more import more_items
from assent.evaluation.gate.reading import Level, Pairs, Reading, read
from assent.evaluation.outcomes import Kind
from assent.stats.equivalence import above
from assent.stats.estimate import Estimate
from assent.stats.multiple import benjamini_hochberg
from assent.stats.paired import sign_flip

Verdict = Literal["pass", "fail", "undecided"]
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "fail": 1, "undecided": 3}
"""Of `assent gate`; 3, as everywhere: people have to do something first."""
_SURELY_FOUND = 0.1
"""Slices below this adjusted p value are named."""


class Said(Record):
    """What the gate says of one line."""

    role: Literal["gain", "keep"]
    measure: str
    wanted: str
    """In words: what must hold."""
    verdict: Verdict
    found: Estimate | None = None
    """The number that is held against the limit, with the interval that decides; None where it was not measured."""
    clusters: int = 0
    items: int = 0
    missing: float = 0.0
    """Share of items that could be read for one of both policies only."""
    reason: str = ""
    """Why it failed or is undecided, in words."""
    more: int | None = None
    """About how many further clusters are needed to decide; None where no number is known."""
    more_of: str = ""
    """What kind of labels or items those are."""


class Slice(Record):
    """A slice in which a measure moved. Exploratory: it decides nothing."""

    measure: str
    difference: Estimate
    p: float
    """Adjusted for all slices that were looked at (Benjamini & Hochberg 1995)."""
    is_worse: bool | None
    """None where neither way is better."""


class Decision(Record):
    """What the gate says of a policy."""

    verdict: Verdict
    after: str
    before: str
    look: int
    alpha: float
    lines: tuple[Said, ...]
    slices: tuple[Slice, ...] = ()
    slices_seen: int = 0
    evidence: str = ""
    """Hash of all outcomes it rests on."""

    @property
    def exit_code(self) -> int:
        """Of the command."""
        return EXIT_CODES[self.verdict]


@dataclass(frozen=True)
class _Limits:
    """What a number is held against."""

    low: float | None = None
    """It must surely lie above this."""
    high: float | None = None
    """It must surely lie below this."""

    def verdict(self, found: Estimate) -> Verdict:
        """pass where the interval is inside, fail where it is surely outside of one of both."""
        turned = Estimate(estimate=-found.estimate, low=-found.high, high=-found.low)
        said = [] if self.low is None else [above(found, self.low)]
        said += [] if self.high is None else [above(turned, -self.high)]
        return "fail" if "fail" in said else "undecided" if "undecided" in said else "pass"

    @property
    def ends(self) -> list[float]:
        """The limits that there are."""
        return [one for one in (self.low, self.high) if one is not None]


def decide(config: GateConfig, evidence: Evidence, *, look: int = 1) -> Decision:
    """Hold the evidence against every line.

    Raises ConfigError for a line that no suite could ever give, or that turns a measure's direction around.
    """
    refuse_impossible(config, evidence)
    refused = refusal_of(evidence.judge, evidence.known_judge, config.judge)
    level = Level(config.alpha, look if config.looks == "anytime" or look > 1 else None)
    lines = tuple(_said(one, config, evidence, level, refused) for one in config.lines)
    verdicts = [one.verdict for one in lines]
    slices, seen = explored(config, evidence)
    return Decision(
        verdict="fail" if "fail" in verdicts else "undecided" if "undecided" in verdicts else "pass",
        after=evidence.after,
        before=evidence.before,
        look=look,
        alpha=config.alpha,
        lines=lines,
        slices=slices,
        slices_seen=seen,
        evidence=evidence.hash,
    )


def refuse_impossible(config: GateConfig, evidence: Evidence) -> None:
    """Raise ConfigError for a measure that its suite does not have, a wrong direction, or a limit that cannot apply."""
    for line in config.lines:
        if (compared := evidence.suites.get(line.suite)) is not None:
            refuse_line(line, compared.kind, compared.kinds)


def refuse_line(line: Line, suite: str, kinds: Mapping[str, Kind]) -> None:
    """The same of one line whose suite, of that kind and with those measures, is measured."""
    kind = kinds.get(line.name)
    if kind is None:
        near = difflib.get_close_matches(line.name, kinds, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(kinds))}"
        raise ConfigError(f"gate: {line.measure}: suite {line.suite} has no measure {line.name!r}; {hint}")
    says = {True: "lower", False: "higher", None: None}[kind.lower_is_better]
    if line.better is not None and says is not None and line.better != says:
        raise ConfigError(f"gate: {line.measure}: better is {line.better}, but {says} is better; leave `better` out")
    is_gain = isinstance(line, Gain)
    if says is None and line.better is None and (is_gain or (isinstance(line, Keep) and line.null_at_most is not None)):
        raise ConfigError(f"gate: {line.measure}: neither way is better of itself; say better: higher or lower")
    if isinstance(line, Keep) and line.ratio is not None and (kind.statistic is not None or suite in AGAINST):
        raise ConfigError(f"gate: {line.measure} is no mean of both policies, so it has no ratio; give a margin")


def wanted(line: Gain | Keep) -> str:
    """What must hold, in words."""
    if isinstance(line, Gain):
        return "surely better" if not line.least else f"better by surely more than {line.least:g}"
    if line.margin is not None:
        return f"worse by surely less than {line.margin:g}"
    if line.ratio is not None:
        return f"new / old surely between {line.ratio[0]:g} and {line.ratio[1]:g}"
    if line.every is not None:
        return f"{line.every:g} for every item"
    if line.null_at_most is not None:
        return f"no answer without any thought is better than {line.null_at_most:g}"
    ends = {"above": line.at_least, "below": line.at_most}
    return "surely " + " and ".join(f"{word} {end:g}" for word, end in ends.items() if end is not None)


def _said(line: Gain | Keep, config: GateConfig, evidence: Evidence, level: Level, refused: str | None) -> Said:
    role: Literal["gain", "keep"] = "gain" if isinstance(line, Gain) else "keep"
    said = Said(role=role, measure=line.measure, wanted=wanted(line), verdict="fail")
    compared = evidence.suites.get(line.suite)
    if line.suite == WINRATE and refused is not None:
        return said.model_copy(update={"reason": refused})
    if compared is None:
        return said.model_copy(update={"reason": "it was not measured" + _hint(line, evidence)})
    if isinstance(line, Keep) and line.every is not None:
        return _every(said, line, compared, config)
    if isinstance(line, Keep) and line.null_at_most is not None:
        return _nulls(said, line, compared)
    reading = read(line, compared, level)
    if reading is None:
        why = "no items" if not line.slice else f"no items of {line.slice!r}"
        old = compared.before is None and compared.against is None
        return said.model_copy(
            update={
                "reason": f"it was not measured: {'of ' + evidence.before if old else why + ' of two prompts or more'}"
            }
        )
    return _held(said, line, reading, compared, config, level)


def _held(
    said: Said, line: Gain | Keep, reading: Reading, compared: Compared, config: GateConfig, level: Level
) -> Said:
    limits = _limits(line, compared.kinds[line.name])
    verdict: Verdict = limits.verdict(reading.estimate)
    least = line.least_clusters or config.least_clusters
    most = config.most_missing if line.most_missing is None else line.most_missing
    reason, more = "", None
    if reading.missing > most:
        verdict, reason = "fail", f"{reading.missing:.1%} of items could not be read, more than {most:.1%}"
    elif verdict == "fail":
        reason = "it surely does not hold"
    elif reading.clusters < least or verdict == "undecided":
        verdict = "undecided"
        more = more_items(reading, limits.ends, level, config.power_of_a_line, least=least)
        is_inside = _Limits(limits.low, limits.high).verdict(_point(reading.estimate)) == "pass"
        reason = _undecided(reading, least, more, is_inside=is_inside)
    return said.model_copy(
        update={
            "verdict": verdict,
            "found": reading.estimate,
            "clusters": reading.clusters,
            "items": reading.items,
            "missing": round(reading.missing, 6),
            "reason": reason,
            "more": more,
            "more_of": labels_of(line) if more is not None else "",
        }
    )


def labels_of(line: Line) -> str:
    """What further evidence of a line is made of."""
    if line.suite == WINRATE:
        return "prompts with verdicts of the judge"
    if line.suite == REWARD:
        return "held-out prompts with comparisons"
    if line.suite in OWN:
        return "evaluation prompts"
    return f"items of suite {line.suite}" + (f" in {line.slice!r}" if line.slice else "")


def _undecided(reading: Reading, least: int, more: int | None, *, is_inside: bool) -> str:
    if reading.clusters < least:
        return f"{reading.clusters} prompts are fewer than {least}"
    if more is None:
        return "it lies on the limit, and no number of labels will tell"
    return "it holds so far, but not surely" if is_inside else "it does not hold so far, but that may be chance"


def _limits(line: Gain | Keep, kind: Kind) -> _Limits:
    is_lower = line.better == "lower" if line.better else kind.lower_is_better
    if isinstance(line, Gain):
        return _Limits(high=-line.least) if is_lower else _Limits(low=line.least)
    if line.margin is not None:
        if is_lower is None:
            return _Limits(-line.margin, line.margin)
        return _Limits(high=line.margin) if is_lower else _Limits(low=-line.margin)
    if line.ratio is not None:
        return _Limits(*line.ratio)
    return _Limits(line.at_least, line.at_most)


def _every(said: Said, line: Keep, compared: Compared, config: GateConfig) -> Said:
    """Each item by itself: no interval, nothing left to chance."""
    outcomes = compared.of_group(line.slice).after.outcomes
    old = () if compared.before is None else compared.of_group(line.slice).before.outcomes  # type: ignore[union-attr]
    known = {one.item for one in (*outcomes, *old) if line.name in one.values}
    values = {one.item: one.values[line.name] for one in outcomes if line.name in one.values}
    wrong = [item for item, value in values.items() if value != line.every]
    unread = len(known) - len(values)
    if not values:
        return said.model_copy(update={"reason": "it was not measured: no items"})
    reason = f"{len(wrong)} of {len(values)} items have another value" if wrong else ""
    if unread:
        reason = f"{reason or 'the rest holds'}; {unread} could not be read"
    return said.model_copy(
        update={
            "verdict": "fail" if wrong or unread else "pass",
            "items": len(values),
            "clusters": len({one.cluster for one in outcomes}),
            "reason": reason,
        }
    )


def _nulls(said: Said, line: Keep, compared: Compared) -> Said:
    kind, limit = compared.kinds[line.name], line.null_at_most
    is_lower = line.better == "lower" if line.better else kind.lower_is_better
    nulls = {name: one for name, some in compared.after.nulls.items() if (one := some.get(line.name)) is not None}
    if not nulls or limit is None:
        return said.model_copy(update={"reason": "it was not measured: the suite asked no null baselines that"})
    best = min(nulls, key=lambda name: nulls[name] if is_lower else -nulls[name])
    is_bad = nulls[best] < limit if is_lower else nulls[best] > limit
    reason = (
        f"the {best} answer reaches {nulls[best]:.3g}: the suite can be passed without any thought" if is_bad else ""
    )
    return said.model_copy(
        update={"verdict": "fail" if is_bad else "pass", "items": len(compared.after.outcomes), "reason": reason}
    )


def explored(config: GateConfig, evidence: Evidence) -> tuple[tuple[Slice, ...], int]:
    """Slices of the measures of the gate in which something moved, and how many were looked at."""
    looked: list[tuple[str, Estimate, float, bool | None]] = []
    for suite, name in dict.fromkeys((one.suite, one.name) for one in config.lines):
        compared = evidence.suites.get(suite)
        if compared is None or name not in compared.kinds or compared.kinds[name].statistic is not None:
            continue
        looked += _slices_of(compared, suite, name)
    if not looked:
        return (), 0
    adjusted = benjamini_hochberg([p for *_, p, _ in looked])
    found = [
        Slice(measure=measure, difference=moved, p=round(float(p), 6), is_worse=is_worse)
        for (measure, moved, _, is_worse), p in zip(looked, adjusted, strict=True)
        if p < _SURELY_FOUND
    ]
    return tuple(found), len(looked)


def _slices_of(compared: Compared, suite: str, name: str) -> Iterator[tuple[str, Estimate, float, bool | None]]:
    groups = list(dict.fromkeys(one.group for one in compared.after.outcomes if one.group))
    for group in groups if len(groups) > 1 else ():
        part, kind = compared.of_group(group), compared.kinds[name]
        pairs = Pairs.of(part, name)
        reading = read(Gain(measure=f"{suite}.{name}"), part, Level(0.025)) if len(pairs.clusters) else None
        if reading is None:
            continue
        moved = reading.usual
        p = sign_flip(pairs.after - pairs.before, pairs.clusters, draws=999).p
        worse = None if kind.lower_is_better is None else (moved.estimate > 0) == kind.lower_is_better
        yield f"{suite}.{name}@{group}", moved, p, worse


def in_words(decision: Decision) -> Iterator[str]:
    """The decision as lines, for people: the whole first, then what stands in its way, then the rest."""
    yield f"{decision.verdict.upper()}: {decision.after} against {decision.before}"
    order: Sequence[Verdict] = ("fail", "undecided", "pass")
    for said in sorted(decision.lines, key=lambda one: order.index(one.verdict)):
        yield "  " + line_in_words(said)
    for one in decision.slices:
        way = {True: "worse", False: "better", None: "moved"}[one.is_worse]
        yield (
            f"  to look at: {one.measure} {way} by {_signed(one.difference)} (adjusted p {one.p:.3f} among"
            f" {decision.slices_seen} slices; decides nothing)"
        )


def line_in_words(said: Said) -> str:
    """One line of the gate, for people."""
    text = f"{said.verdict.upper():9} {said.role} {said.measure}: {said.wanted}"
    if said.found is not None:
        text += f"; found {_signed(said.found)}, n = {said.items} of {said.clusters} prompts"
    if said.reason:
        text += f"; {said.reason}"
    if said.more:
        text += f"; about {said.more} more {said.more_of}"
    return text


def _point(found: Estimate) -> Estimate:
    return Estimate(estimate=found.estimate, low=found.estimate, high=found.estimate)


def _signed(found: Estimate) -> str:
    return f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _hint(line: Line, evidence: Evidence) -> str:
    near = difflib.get_close_matches(line.suite, evidence.suites, n=1)
    return (
        f"; did you mean suite {near[0]!r}?" if near else f"; measured: {', '.join(sorted(evidence.suites)) or 'none'}"
    )
