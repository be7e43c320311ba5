"""Cards on what people think: blind comparison, truth, reward model, rounds over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.evaluation.rater_report import RaterReport
from assent.evaluation.report import EvaluationReport, Trainers
from assent.evaluation.reward_report import RewardReport
from assent.evaluation.suites.lab import LOWER_IS_BETTER
from assent.evaluation.winrate import WinRate
from assent.report.arena import arena
from assent.report.cards import Card, Section, Size, card
from assent.report.figures import (
    BeforeAfter,
    Row,
    Trend,
    dumbbells,
    histogram,
    intervals,
    levels,
    percent,
    reliability,
    trends,
)
from assent.report.leaning import counterfactuals, diversity_over_rounds, inherited, taken_out
from assent.report.plots import AFTER, BAD, BEFORE, GOOD, SOFT, WARM
from assent.report.run_folder import Evaluation, Round, Run
from assent.report.training import reward_training
from assent.report.verdict import MEASURES, changes
from assent.stats.estimate import Estimate

_JUDGES = {
    "people": "people",
    "simulated": "simulated people",
    "reward_model": "another reward model",
    "function": "a function",
    "autorater": "a language model as judge",
    "constitution": "a judge by the principles of a constitution",
}
_BOTH = ((BEFORE, "before"), (AFTER, "after"))
LEAST_SHARP = 6
"""How many single raters are shown."""
_ROUND_GROUPS = (
    ("Truth: higher is better", ("helpful", "honest", "harmless", "fluent"), (AFTER, GOOD, WARM, SOFT)),
    ("Truth: lower is better", LOWER_IS_BETTER, (BAD, WARM)),
)


def comparison(run: Run) -> Section:
    """New against old answers, blind; and what is true of both."""
    evaluation = run.headline
    if evaluation is None:
        return Section("comparison", "Blind comparison", "", ())
    cards: list[Card] = []
    texts: list[str] = []
    wins = evaluation.report.win_rate
    if wins is not None:
        cards.append(_win_rates(wins))
        texts.append(_how_judged(wins, evaluation.report))
    if evaluation.sampling:
        texts.append(_how_drawn(evaluation.sampling, seed=run.result.get("seed")))
    cards += _truth(evaluation) + _other_suites(evaluation.report) + _lengths(evaluation)
    title = "Before and after" if wins is None else "Blind comparison"
    return Section("comparison", title, " ".join(texts), tuple(cards))


def reward_model(run: Run) -> Section:
    """How far the newest reward model can be trusted."""
    report = next((r.reward for r in reversed(run.rounds) if r.reward is not None), None)
    if report is None:
        return Section("reward", "Reward model", "", ())
    text = f"Judged on {report.pairs:,} decided pairs of {report.prompts:,} prompts it never saw"
    text += f", in round {run.rounds[-1].number}." if len(run.rounds) > 1 else "."
    cards = _accuracy(report) + _calibration(report)
    note = "By how far the scores lie apart"
    note += ", and by how much better raters said the answer is." if report.by_strength else "."
    cards += _accuracies("Accuracy per lead", note, {**report.by_lead, **report.by_strength})
    slices = {k: v for k, v in report.slices.items() if not (report.by_source and k.startswith("source="))}
    cards += _sources(report) + _accuracies(
        "Accuracy per slice", "By what is known of the prompt.", slices, size="tall"
    )
    cards += (
        _by_criterion(report) + _raters(report.raters) + inherited(report) + taken_out(report) + counterfactuals(run)
    )
    cards += reward_training(run)
    return Section("reward", "Reward model", text, tuple(cards))


def rounds_over_time(run: Run) -> Section:
    """One point per round; shown where there are two or more."""
    if len(run.rounds) < 2:
        return Section("rounds", "Rounds", "", ())
    cards = [
        p
        for p in (
            _wins_over_rounds(run),
            arena(run),
            *_truth_over_rounds(run),
            _accuracy_over_rounds(run),
            _distance_over_rounds(run),
            *diversity_over_rounds(run),
        )
        if p is not None
    ]
    text = "Each round goes on from the policy and the judgments of the round before."
    return Section("rounds", "Rounds over time", text, tuple(cards))


def at_equal_length(w: WinRate) -> str:
    """What the win rate under length control is called: where hardly any answers are as long, nobody saw it."""
    return "at equal length, not seen" if w.is_extrapolated else "at equal length"


def _win_rates(w: WinRate) -> Card:
    rows = [Row("win rate", w.headline), Row(at_equal_length(w), w.length_controlled)]
    if w.over_raters is not None:
        rows.append(Row("for these raters alone", w.win_rate))
    rows.append(Row("answer shown first", w.first_shown, BEFORE))
    svg = intervals(rows, "Win rates with intervals", reference=0.5)
    note = "Share of verdicts for the new answer, ties half. The last row is a check: "
    note += "50\u00a0% means that order did not matter."
    return card("Preferred answers", note, svg, size="wide")


def _how_judged(w: WinRate, report: EvaluationReport) -> str:
    judge = report.judge
    raters = "one rater" if w.raters == 1 else f"{w.raters:,} raters"
    raters += "" if judge is None else f" ({_JUDGES.get(str(judge), str(judge))}{_labels_given(report.trainers)})"
    text = f"{w.verdicts:,} verdicts of {raters} on {w.prompts:,} prompts, each pair in both orders, origins hidden; "
    text += f"{percent(w.ties)} ties"
    if w.swap_consistency is not None:
        text += f", {percent(w.swap_consistency)} of pairs judged alike in both orders"
    text += f". The new answer is the longer one in {percent(w.new_is_longer)} of verdicts"
    return f"{text}, so that equal length lies outside of what was seen." if w.is_extrapolated else f"{text}."


def _how_drawn(sampling: Mapping[str, Any], *, seed: int | None) -> str:
    """How both policies were asked, under the names of the settings; of those that are rarely set, only what is."""
    rare: dict[str, Any] = {"top_k": None, "min_p": 0.0, "repetition_penalty": 1.0, "stop": []}
    shown = [name for name in ("temperature", "top_p", "max_new_tokens") if name in sampling]
    shown += [name for name, plain in rare.items() if sampling.get(name, plain) != plain]
    said = [f"{name} {one:g}" if isinstance(one := sampling[name], float) else f"{name} {one}" for name in shown]
    said += [] if seed is None else [f"seed {seed}"]
    return f"Both policies answered with {', '.join(said)}."


def _labels_given(trainers: Trainers | None) -> str:
    """Whether those who compared the answers had given training labels; nothing where nobody looked."""
    if trainers is None:
        return ""
    if not trainers.raters:
        return ", none of whom gave a training label"
    return f", of whom {trainers.raters:,} gave training labels too: {trainers.verdicts:,} of these verdicts are theirs"


def _truth(evaluation: Evaluation) -> list[Card]:
    found = changes(evaluation)
    if not found:
        return []
    ordered = sorted(found, key=lambda c: c.measure in LOWER_IS_BETTER)
    pairs = [BeforeAfter(("↓ " if c.measure in LOWER_IS_BETTER else "") + c.name, c.before, c.after) for c in ordered]
    note = (
        "Read from the texts by rules, not by raters; means with 95\u00a0% intervals. Where marked ↓, lower is better."
    )
    svg = dumbbells(pairs, "Truth before and after")
    return [card("What is true of the answers", note, svg, keys=_BOTH, size="tall")]


def _other_suites(report: EvaluationReport) -> list[Card]:
    """What suites without a card of their own measured of both policies."""
    cards = []
    for suite in (name for name in report.suites if name not in ("lab", "winrate")):
        pairs = [
            BeforeAfter(("↓ " if one.lower_is_better else "") + name.replace("_", " "), one.before, one.after)
            for name, one in report.measures(suite).items()
            if one.before is not None and one.after is not None
        ]
        if pairs:
            note = "Means with 95\u00a0% intervals. Where marked ↓, lower is better."
            cards.append(card(suite, note, dumbbells(pairs, f"{suite} before and after"), keys=_BOTH, size="tall"))
    return cards


def _lengths(evaluation: Evaluation) -> list[Card]:
    before = [float(len(s.before.split())) for s in evaluation.samples]
    after = [float(len(s.after.split())) for s in evaluation.samples]
    if len(before) < 2:
        return []
    means = f"Mean {sum(before) / len(before):.0f} words before, {sum(after) / len(after):.0f} after (dashed)."
    svg = histogram(before, after, "Distribution of answer lengths before and after", x="words per answer")
    return [card("Length of answers", means, svg, keys=_BOTH, size="wide")]


def _by_criterion(report: RewardReport) -> list[Card]:
    """Accuracy of each criterion's head."""
    found = {name: one.accuracy for name, one in report.criteria.items() if one.accuracy is not None}
    told = [
        f"{name} {one.correlation.estimate:.2f} [{one.correlation.low:.2f}, {one.correlation.high:.2f}]"
        for name, one in report.criteria.items()
        if one.correlation is not None
    ]
    note = "Share of held-out pairs that a criterion's head orders as the rater scored them."
    note += f" Rank correlation with scores: {'; '.join(told)}." if told else ""
    if not found:
        return []
    rows = [Row(name, value) for name, value in found.items()]
    title = "Accuracy per criterion"
    return [card(title, note, intervals(rows, title, reference=0.5), size="wide")]


def _accuracy(report: RewardReport) -> list[Card]:
    rows = [
        Row(name, value, colour)
        for name, value, colour in (
            ("reward model", report.accuracy, AFTER),
            ("two raters agree", report.rater_agreement, GOOD),
            ("a perfect score, at most", report.ceiling, GOOD),
            ("“longer wins”", report.longer_wins, BEFORE),
            ("reads the question", report.relevance, AFTER),
        )
        if value is not None
    ]
    if not rows:
        return []
    note = "Held-out pairs ordered as raters did. A score without noise lies between how often two raters agree and"
    note += " the line below it; “longer wins” is the floor."
    if report.relevance is not None:
        note += " Last: how often the best answer to a prompt scores above the best answer to another prompt."
    svg = intervals(rows, "Accuracy of the reward model beside its bounds", reference=0.5)
    return [card("Accuracy", note, svg, size="wide")]


def _calibration(report: RewardReport) -> list[Card]:
    if not any(b.count for b in report.bins):
        return []
    note = "On the diagonal, 80\u00a0% sure is right in 80\u00a0% of pairs; large dots hold more pairs."
    if report.ece is not None and report.brier is not None:
        note += f" Calibration error {report.ece:.3f}, Brier score {report.brier:.3f}."
    return [card("Calibration", note, reliability(report.bins, "Reliability diagram of the reward model"), size="tall")]


def _sources(report: RewardReport) -> list[Card]:
    """Each source of rankings with its own bounds; with only one, the first card has said it."""
    if len(report.by_source) < 2:
        return []
    rows = []
    for name, found in report.by_source.items():
        rows.append(Row(name, found.accuracy))
        if found.ceiling is not None:
            rows.append(Row("a perfect score, at most", found.ceiling, GOOD))
        rows.append(Row("“longer wins”", found.longer_wins, BEFORE))
    svg = intervals(rows, "Accuracy per source of rankings", reference=0.5)
    return [card("Accuracy per source", "Each with its own ceiling and floor.", svg, size="tall")]


def _accuracies(title: str, note: str, found: Mapping[str, Estimate], *, size: Size = "wide") -> list[Card]:
    if len(found) < 2:
        return []
    rows = [Row(name.replace("=", " · "), value) for name, value in found.items()]
    return [card(title, note, intervals(rows, title, reference=0.5), size=size)]


def _raters(found: RaterReport | None) -> list[Card]:
    """Sharpness of groups and of the least sharp raters, with what is alarming in words."""
    if found is None:
        return []
    shown = [Row(f"{found.group_by or 'all'} · {g.group}", g.sharpness, GOOD) for g in found.groups]
    shown += [Row(r.rater, r.sharpness, BAD if r.sharpness.high < 0.5 else AFTER) for r in found.raters[:LEAST_SHARP]]
    note = f"{len(found.raters):,} raters, 1 is the pool's prior mean; means of groups, then the least sharp raters. "
    note += f"{found.careless:,} far below the pool, {found.inverted:,} below 0 (the scale read the wrong way round)."
    note += "".join(f" Look into this: {alarm}." for alarm in found.alarms)
    return [
        card("Sharpness of raters", note, levels(shown, "Sharpness with intervals", references=(0, 1)), size="tall")
    ]


def _wins_over_rounds(run: Run) -> Card | None:
    values = [_win(r.evaluation) for r in run.rounds]
    ticks = [f"round {r.number}" for r in run.rounds]
    if run.final is not None:
        values, ticks = [*values, _win(run.final)], [*ticks, "all"]
    if not any(values):
        return None
    svg = trends([Trend("win rate", values)], "Win rate per round", ticks=ticks, target=0.5)
    note = "Against the round's own start" + ("; “all”: the last policy against the first." if run.final else ".")
    return card("Win rate", note, svg)


def _truth_over_rounds(run: Run) -> list[Card]:
    found = [{} if r.evaluation is None else r.evaluation.report.measures("lab") for r in run.rounds]
    if not all(found):
        return []
    truths = [{name: m.before for name, m in found[0].items()}]
    truths += [{name: m.after for name, m in measures.items()} for measures in found]
    ticks = ["start", *(f"round {r.number}" for r in run.rounds)]
    cards = []
    for title, names, colours in _ROUND_GROUPS:
        lines = [
            Trend(MEASURES[name].split(" on ")[0], [truth.get(name) for truth in truths], colour)
            for name, colour in zip(names, colours, strict=True)
            if any(name in truth for truth in truths)
        ]
        if lines:
            cards.append(card(title, "Of each policy's own answers.", trends(lines, title, ticks=ticks)))
    lengths = [truth.get("mean_length") for truth in truths]
    if any(lengths):
        svg = trends([Trend("words", lengths)], "Mean length per round", ticks=ticks, scale="number")
        cards.append(card("Length", "Mean words per answer.", svg))
    return cards


def _accuracy_over_rounds(run: Run) -> Card | None:
    def of(name: str) -> list[Estimate | None]:
        return [None if r.reward is None else getattr(r.reward, name) for r in run.rounds]

    named = (("accuracy", "model", AFTER), ("ceiling", "at most", GOOD), ("longer_wins", "longer", BEFORE))
    lines = [Trend(label, of(name), colour) for name, label, colour in named if any(of(name))]
    if not lines:
        return None
    svg = trends(lines, "Reward model accuracy per round", ticks=[f"round {r.number}" for r in run.rounds])
    return card("Reward model", f"Held-out accuracy{_judgment_note(run.rounds)}.", svg)


def _distance_over_rounds(run: Run) -> Card | None:
    values = [None if r.evaluation is None else r.evaluation.report.kl_per_response for r in run.rounds]
    if not any(values):
        return None
    ticks = [f"round {r.number}" for r in run.rounds]
    svg = trends([Trend("KL", values)], "KL per round", ticks=ticks, scale="number")
    return card("Distance", "KL per answer to the round's start, in nats.", svg)


def _judgment_note(rounds: tuple[Round, ...]) -> str:
    counts = [r.judgments for r in rounds]
    if any(c is None for c in counts):
        return ""
    return " with " + ", ".join(f"{c:,}" for c in counts) + " judgments"


def _win(evaluation: Evaluation | None) -> Estimate | None:
    wins = None if evaluation is None else evaluation.report.win_rate
    return None if wins is None else wins.headline
