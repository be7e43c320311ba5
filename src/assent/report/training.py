"""Cards of the trainers' logs: fine-tuning, reward model, and every method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.artifacts.store import Artifact
from assent.report.cards import Card, Section, Size, card
from assent.report.figures import PANEL, WIDE, Curve, Frame, curves, path
from assent.report.plots import AFTER, BEFORE, GOOD, WARM
from assent.report.run_folder import Metrics, Run, metrics_of
from assent.training.config import methods

TRAJECTORIES = (BEFORE, AFTER, GOOD, WARM)
"""Colours of the last four rounds, the newest in full."""


@dataclass(frozen=True)
class Shown:
    """A logged number as a card."""

    name: str
    title: str
    note: str
    is_share: bool = False
    is_log: bool = False
    low: float | None = None
    high: float | None = None


REWARD = Shown("reward", "Reward", "Mean score of the answers of a step.")
ROLLOUTS = (
    Shown("kl_per_response", "KL to the start", "Nats per answer; the dashed line is the target.", low=0),
    Shown("entropy", "Entropy", "Nats per token. A fall to zero means the answers are all alike.", low=0),
    Shown("length", "Length", "Tokens per answer.", low=0),
    Shown("eos_rate", "Answers that end", "The rest hit the limit of tokens.", is_share=True, low=0, high=1),
    Shown("empty_rate", "Empty answers", "Nothing but spaces; silence may be what is paid for.", is_share=True, low=0),
    Shown("ead", "Different words", "Beside those that drawing at random would give (EAD); a fall is collapse.", low=0),
    Shown("top_opener", "Most common opening", "Share of answers with the same first words.", is_share=True, low=0),
    Shown("clip_fraction", "Clipped ratios", "Share of tokens whose update was cut off.", is_share=True, low=0),
    Shown("approx_kl", "Step size", "KL per token from the rollouts to the policy after each update.", low=0),
)
"""What every on-policy method logs of its rollouts and updates."""
STEPS = (
    Shown("sampler_gap_max", "Sampler gap", "Largest |Δ log p| between sampler and learner in a step.", is_log=True),
    Shown("kl_coefficient", "KL coefficient", "Reward lost per nat.", low=0),
    Shown(
        "policy_updates", "Updates per batch", "Optimizer steps of the policy; fewer where the KL limit cut in.", low=0
    ),
    Shown("grad_norm", "Gradient norm", "Of the policy, before clipping.", low=0),
)
PPO = (
    Shown("explained_variance", "Explained variance", "Of the returns, by the value model; 1 is perfect."),
    Shown("value_loss", "Value loss", "Half squared error of the value model.", low=0),
)
GRPO = (
    Shown("reward_std", "Spread of rewards", "Standard deviation over the answers of a step.", low=0),
    Shown("teaching_groups", "Groups that teach", "Not all answers have one reward.", is_share=True, low=0, high=1),
)
RLOO = GRPO[:1]
DPO = (
    Shown("loss", "Loss", "Log 2 ≈ 0.69 where the policy has not moved."),
    Shown(
        "accuracy", "Accuracy", "Pairs whose better answer gained more than the worse.", is_share=True, low=0, high=1
    ),
    Shown("margin", "Margin", "Gain of the better answer over the worse, times beta."),
    Shown("better_gain", "Better answer", "Nats it gained since the start; below zero both answers lose."),
    Shown("sft_loss", "Next-token loss", "Nats per token of the best answers.", low=0),
    Shown("grad_norm", "Gradient norm", "Before clipping.", low=0),
    Shown("learning_rate", "Learning rate", "After warm-up and schedule.", low=0),
)
STEP = DPO[-2:]
"""What every optimizer step logs."""
KTO = (
    Shown("loss", "Loss", "One half where the policy has not moved."),
    Shown(
        "accuracy",
        "Accuracy",
        "Answers that gained beyond the reference point where they are good, less where bad.",
        is_share=True,
        low=0,
        high=1,
    ),
    Shown("reference_point", "Reference point", "Nats that answers to other prompts gained, not below 0.", low=0),
    Shown("good_gain", "Good answers", "Nats they gained since the start."),
    Shown("bad_gain", "Bad answers", "Nats they gained since the start; it should fall."),
)
WITHOUT_REFERENCE = (
    Shown("loss", "Loss", "Of the pairs, and of the best answers where they are learned too."),
    Shown("accuracy", "Accuracy", "Pairs whose better answer is likelier per token.", is_share=True, low=0, high=1),
    Shown("margin", "Margin", "Lead of the better answer per token."),
    Shown("sft_loss", "Next-token loss", "Nats per token of the best answers.", low=0),
)
ONLINE = (
    Shown("contrast", "Contrast", "Score of the best answer less that of the worst.", low=0),
    *(one for one in DPO if one.name in ("accuracy", "margin", "better_gain")),
)
METHODS = {
    "ppo": (REWARD, *ROLLOUTS, *PPO, *STEPS),
    "grpo": (REWARD, *ROLLOUTS, *GRPO, *STEPS),
    "rloo": (REWARD, *ROLLOUTS, *RLOO, *STEPS),
    "reinforce++": (REWARD, *ROLLOUTS, *STEPS),
    "dpo": DPO,
    "online_dpo": (REWARD, *(one for one in ROLLOUTS if one.name != "clip_fraction"), *ONLINE, *STEPS),
    "best_of_n": (
        REWARD,
        Shown("best_reward", "Best reward", "Mean score of the answers that were kept."),
        Shown("kl_bound", "KL of the best of n", "At most so many nats from the start: log n - (n - 1)/n.", low=0),
        Shown("loss", "Loss", "Nats per token of the answers that were kept.", low=0),
        *STEP,
    ),
    "kto": (*KTO, *STEP),
    "orpo": (*WITHOUT_REFERENCE, *STEP),
    "simpo": (*WITHOUT_REFERENCE, *STEP),
}
"""What is shown of each method's log: a row a method."""


def optimization(run: Run) -> Section:
    """How the policy moved, over the steps of all rounds."""
    kinds = [kind for kind in dict.fromkeys(str(r.method.get("kind", "")) for r in run.rounds) if kind in METHODS]
    cards = [p for kind in kinds for p in _steps(run, kind, METHODS[kind])]
    trajectory = _reward_against_kl(run)
    text = "How the policy moved"
    if kinds:
        text = " ".join(f"{methods()[kind].title} learns from {methods()[kind].learns_from}." for kind in kinds)[:-1]
    if len(run.rounds) > 1:
        text += "; rounds follow one another, parted by dotted lines"
    return Section("optimization", "Optimization", text + ".", tuple(trajectory + cards))


def fine_tuning(run: Run) -> Section:
    """Loss of pre-training and of supervised fine-tuning."""
    named = (("base", "Pre-training", "every token of the corpus"), ("sft", "Fine-tuning", "the assistant's tokens"))
    cards = [
        made
        for stage, title, what in named
        if (made := _loss(title, f"Nats per token, over {what}.", Trained.of(run.stage(stage)))) is not None
    ]
    return Section("fine-tuning", "Before the first round", "What the policy starts from.", tuple(cards))


def reward_training(run: Run) -> list[Card]:
    """Loss and accuracy of the reward models on their training batches, and on the way on what is held out."""
    logs = [Trained.of(r.artifacts.get("reward")) for r in run.rounds]
    is_examined = any(_series(one.log, "loss", kind="eval")[0] for one in logs)
    beside = "; held out: log loss of decided pairs, every vote alike" if is_examined else ""
    found = (
        Shown("loss", "Loss", f"Negative log-likelihood of the rankings{beside}.", low=0),
        Shown("accuracy", "Accuracy while training", "Pairs ordered as raters did.", is_share=True),
    )
    return [p for shown in found if (p := _over_steps(shown, logs, size="wide")) is not None]


def _steps(run: Run, kind: str, shown: Iterable[Shown]) -> list[Card]:
    chosen = [r for r in run.rounds if r.method.get("kind") == kind]
    logs = [Trained.of(r.artifacts.get("optimize")) for r in chosen]
    kl = chosen[-1].method.get("kl", {}) if chosen else {}
    target = kl.get("target") if kl.get("kind") == "adaptive" else None
    made = [
        _over_steps(
            one,
            logs,
            target=target if one.name == "kl_per_response" else None,
            size="wide" if one.name == "reward" else "small",
        )
        for one in shown
    ]
    return [p for p in [*made, *_terms(logs)] if p is not None]


@dataclass(frozen=True)
class Trained:
    """What a training logged, and which evaluation on the way gave its result, where one was chosen."""

    log: Metrics
    best: Mapping[str, Any]
    """Measure, step, value and number of looks; empty: the last weights are the result."""

    @classmethod
    def of(cls, artifact: Artifact | None) -> Trained:
        """Of a stage; empty where it is not there."""
        best = None if artifact is None else artifact.notes.get("best")
        return cls(metrics_of(artifact), best if isinstance(best, Mapping) else {})

    def chosen(self, name: str) -> tuple[float, float] | None:
        """Step and value of the best evaluation, where it was chosen by this number."""
        found = (self.best.get("step"), self.best.get("value"))
        if self.best.get("measure") != f"heldout_{name}" or not all(_finite(one) for one in found):
            return None
        return float(found[0] or 0), float(found[1] or 0)

    def said(self, name: str) -> str:
        """The choice in words; empty where it was not made by this number."""
        point, looks = self.chosen(name), self.best.get("looks")
        if point is None:
            return ""
        return (
            f" The result is the best of {looks} evaluations, after step {point[0]:.0f} ({point[1]:.3g}); the best of"
            " so many is an optimistic figure."
        )


def _terms(logs: Sequence[Trained]) -> Iterator[Card | None]:
    """The terms of a reward apart, and each cost with its limit and its price."""
    names = sorted({name for one in logs for line in one.log for name in line if "/" in name})
    for name in names:
        what, _, term = name.partition("/")
        match what:
            case "reward":
                shown = Shown(name, f"Reward: {term}", "Mean of this term before scaling and weight.")
            case "cost":
                shown = Shown(name, f"Cost: {term}", "Mean per step; the dashed line is its limit.")
            case "multiplier":
                shown = Shown(name, f"Price: {term}", "Reward lost per unit of this cost (Lagrange multiplier).", low=0)
            case _:
                continue
        limits = [
            line[f"limit/{term}"] for one in logs for line in one.log if what == "cost" and f"limit/{term}" in line
        ]
        yield _over_steps(shown, logs, target=limits[-1] if limits else None)


def _over_steps(
    shown: Shown, logs: Sequence[Trained], *, target: float | None = None, size: Size = "small"
) -> Card | None:
    """One number over the steps of all rounds, one after the other; beside it what was held out, where it was."""
    lines, beside, borders, start, said = [], list[Curve](), [], 0.0, ""
    for one in logs:
        x, y = _series(one.log, shown.name)
        if start and one.log:
            borders.append(start)
        if x:
            lines.append(Curve([start + i for i in x], y, smooth=True))
        beside += _held_out(one, shown.name, start)
        said = one.said(shown.name) or said
        start += max((m["step"] for m in one.log), default=-1) + 1
    if not lines or (shown.is_log and not any(v > 0 for line in lines for v in line.y)):
        return None
    frame = Frame(
        x_end=start - 1 if start > 1 else None,
        low=shown.low,
        high=shown.high,
        is_share=shown.is_share,
        is_log=shown.is_log,
        target=target,
        borders=tuple(borders),
    )
    note = shown.note if target is not None else shown.note.replace("; the dashed line is the target", "")
    svg = curves([*lines, *beside], f"{shown.title} over steps", frame=frame, size=PANEL if size == "small" else WIDE)
    return card(shown.title, note + said, svg, keys=_keys(beside), size=size)


def _held_out(one: Trained, name: str, start: float = 0.0) -> list[Curve]:
    """What was measured on the way on what is held out, and the evaluation that gave the result, over steps taken."""
    x, y = _series(one.log, name, kind="eval")
    if name == "loss" and not x:  # fine-tuning called it otherwise before
        x, y = _series(one.log, "eval_loss", kind="eval")
    found = [Curve([start + i for i in x], y, colour=WARM, dots=True)] if x else []
    best = one.chosen(name)
    if best is not None:
        found.append(Curve([start + max(best[0] - 1, 0)], [best[1]], colour=GOOD, dots=True))
    return found


def _keys(beside: Sequence[Curve]) -> list[tuple[str, str]]:
    names = {WARM: "held out", GOOD: "the best, which is the result"}
    own = [(AFTER, "training batches")] if beside else []
    return [*own, *dict.fromkeys((line.colour, names[line.colour]) for line in beside)]


def _loss(title: str, note: str, one: Trained) -> Card | None:
    train, beside = _series(one.log, "loss"), _held_out(one, "loss")
    lines = ([Curve(*train, smooth=True)] if train[0] else []) + beside
    if not lines:
        return None
    svg = curves(lines, f"{title}: loss over steps", size=WIDE)
    return card(title, note + one.said("loss"), svg, keys=_keys(beside) or [(AFTER, "training batches")], size="wide")


def _reward_against_kl(run: Run) -> list[Card]:
    """How much reward each bit of distance bought, after Gao et al. 2022."""
    points = []
    rounds = run.rounds[-len(TRAJECTORIES) :]
    colours = TRAJECTORIES[: len(rounds)] if len(rounds) != 1 else (AFTER,)
    for one, colour in zip(rounds, colours, strict=True):
        log = [m for m in one.metrics("optimize") if _finite(m.get("reward")) and _finite(m.get("kl_per_response"))]
        if len(log) > 1:
            distance = [math.sqrt(max(m["kl_per_response"], 0.0)) for m in log]
            points.append((one.number, (distance, [m["reward"] for m in log], colour)))
    if not points:
        return []
    svg = path([p for _, p in points], "Reward against the square root of KL", x="√KL to the round's start", y="reward")
    keys = [(colour, f"round {number}") for number, (*_, colour) in points] if len(points) > 1 else []
    note = "From the hollow dot to the full one. Flattening while KL grows means that reward is bought dearly."
    if len(points) > 1:
        note += " Each round has its own reward model, so heights compare within a round only."
    return [card("Reward against distance", note, svg, keys=keys, size="wide")]


def _series(log: Metrics, name: str, *, kind: str = "train") -> tuple[list[float], list[float]]:
    rows: list[dict[str, Any]] = [m for m in log if m.get("kind", "train") == kind and _finite(m.get(name))]
    return [float(m["step"]) for m in rows], [float(m[name]) for m in rows]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
