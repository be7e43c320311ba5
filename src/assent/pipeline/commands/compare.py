"""Two runs side by side: the settings that differ, verdicts and other numbers with intervals, and what they share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assent.artifacts.store import Artifact
from assent.core.errors import ConfigError
from assent.pipeline.commands.runs import Told, share, shown_size, table
from assent.pipeline.config import RunConfig

SAME = ("name",)
"""Keys that differ in any two runs and say nothing."""


@dataclass(frozen=True)
class Row:
    """One fact about both runs."""

    label: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether the runs say different things."""
        return self.first != self.second


@dataclass(frozen=True)
class Comparison:
    """Everything that is said about two runs."""

    first: Told
    second: Told
    settings: tuple[Row, ...]
    """Only keys that differ."""
    facts: tuple[Row, ...]
    shared: tuple[Artifact, ...]
    """Artifacts that both rest on."""


def compare(first: Told, second: Told) -> Comparison:
    """Hold two runs against each other, finished or not."""
    keys = {one.key for one in second.artifacts}
    order = {str(step["artifact"]): place for place, step in enumerate(first.steps)}
    shared = [one for one in first.artifacts if one.key in keys]
    return Comparison(
        first,
        second,
        tuple(_differences(_whole(first.settings), _whole(second.settings))),
        tuple(_facts(first, second)),
        tuple(sorted(shared, key=lambda one: order.get(one.name, -1))),
    )


def facts_of(told: Told) -> Iterator[str]:
    """What came out of one run, a line at a time."""
    yield from table([(label, said) for label, of in FACTS.items() if (said := of(told))])


def lines(found: Comparison) -> Iterator[str]:
    """The comparison as text, a line at a time."""
    first, second = found.first.name, found.second.name
    if found.settings:
        yield from table(
            [("settings that differ", first, second), *((f"  {r.label}", r.first, r.second) for r in found.settings)]
        )
    else:
        yield "their settings are the same"
    yield ""
    yield from table([("what came out", first, second), *((f"  {r.label}", r.first, r.second) for r in found.facts)])
    yield ""
    yield shared_words(found)


def shared_words(found: Comparison) -> str:
    """Which artifacts both rest on, in a sentence."""
    if not found.shared:
        return "they share no artifact: even their data or their base differ, so their numbers are of different worlds"
    names = ", ".join(dict.fromkeys(one.manifest.title for one in found.shared))
    alone = [len(one.artifacts) - len(found.shared) for one in (found.first, found.second)]
    return (
        f"both rest on {len(found.shared)} artifacts: {names}; {found.first.name} has {alone[0]} others and"
        f" {found.second.name} {alone[1]}"
    )


def _whole(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings with the defaults of keys that came after the run; as they are, where this version refuses them."""
    try:
        return RunConfig.parse(settings).model_dump(mode="json")
    except ConfigError:
        return settings


def _differences(first: Any, second: Any, prefix: str = "") -> Iterator[Row]:
    """Every key whose values differ; below another kind, only keys that both have."""
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
        if first != second:
            yield Row(prefix, _text(first), _text(second))
        return
    is_other = first.get("kind") != second.get("kind")
    for key in dict.fromkeys([*first, *second]):
        name = f"{prefix}.{key}".lstrip(".")
        if name in SAME or (is_other and (key not in first or key not in second)):
            continue
        yield from _differences(first.get(key, _Absent), second.get(key, _Absent), name)


class _Absent:
    """A key that a run of another version does not know."""


def _text(value: Any) -> str:
    if value is _Absent:
        return "not known to its version"
    if isinstance(value, Mapping):
        return str(value.get("kind", "given"))
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        return ", ".join(str(one.get("path") or one.get("hub") or one.get("kind") or "given") for one in value)
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _facts(first: Told, second: Told) -> Iterator[Row]:
    for label, of in FACTS.items():
        row = Row(label, of(first), of(second))
        if {row.first, row.second} != {""}:
            yield Row(label, row.first or "–", row.second or "–")


def _policy(told: Told) -> Mapping[str, Any]:
    return told.deciding.get("policy") or {}


def _reward(told: Told) -> Mapping[str, Any]:
    rounds = [one["reward"] for one in (told.result or {}).get("rounds") or () if one.get("reward")]
    return rounds[-1] if rounds else {}


def _share_of(values: Mapping[str, Any], name: str) -> str:
    return "" if values.get(name) is None else share(values[name])


def _with_interval(values: Mapping[str, Any], name: str) -> str:
    if values.get(name) is None:
        return ""
    low, high = values[f"{name}_interval"]
    return f"{values[name]:.3g} [{low:.3g}, {high:.3g}]"


def _length(told: Told) -> str:
    """Mean length of the answers of an evaluation, before and after."""
    for suite in (told.deciding.get("suites") or {}).values():
        found = suite.get("mean_length") or suite.get("length")
        if found and found.get("before") and found.get("after"):
            return f"{found['before']['estimate']:.3g} → {found['after']['estimate']:.3g}"
    return ""


def _labels(told: Told) -> str:
    counts = [one.get("judgments") for one in (told.result or {}).get("rounds") or ()]
    return str(counts[-1]) if counts and counts[-1] is not None else ""


def _loss(told: Told) -> str:
    sft = ((told.result or {}).get("setup") or {}).get("sft") or {}
    return "" if sft.get("best_eval_loss") is None else f"{sft['best_eval_loss']:.4g}"


def _seconds(told: Told) -> str:
    seconds = sum(one.manifest.seconds for one in told.artifacts)
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


FACTS = {
    "state": lambda t: t.state,
    "when": lambda t: f"{t.started:%Y-%m-%d %H:%M}",
    "method": lambda t: t.method,
    "rounds": lambda t: t.rounds,
    "preferred to its start": lambda t: _share_of(_policy(t), "win_rate"),
    "the same, of answers of equal length": lambda t: _share_of(_policy(t), "length_controlled"),
    "judged by": lambda t: str(_policy(t).get("judge") or ""),
    "warnings": lambda t: str(len(t.deciding.get("warnings") or ())) if t.deciding else "",
    "KL to its start, nats per answer": lambda t: _with_interval(_policy(t), "kl_per_response"),
    "reward, after": lambda t: _with_interval(_policy(t), "reward_after"),
    "length of answers, before → after": _length,
    "reward model right on held-out pairs": lambda t: _share_of(_reward(t), "heldout_accuracy"),
    "held-out loss of fine-tuning": _loss,
    "labels": _labels,
    "work in all": _seconds,
    "disk of its own": lambda t: shown_size(t.num_bytes),
}
