"""What the log of a stage says went wrong: pure functions of numbers over steps, one symptom each."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assent.core.findings import Finding, warning

FEWEST = 10
"""Steps below which nothing is said of a course."""
LITTLE_EXPLAINED = 0.2
"""Share of the returns below which values say next to nothing of a score before it is given."""
MANY_HALVES = 3
"""Times that GAE halves a score on its way to an answer's first token, beyond which that token learns little of it."""


@dataclass(frozen=True)
class Log:
    """What a stage logged, with the settings that it ran with."""

    key: str
    """Key of its settings, shown in front of each finding, such as `optimize`."""
    metrics: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, float] = field(default_factory=dict)
    """Numbers measured once at its end: held-out accuracy and the like."""

    def series(self, name: str, kind: str = "train") -> list[float]:
        """A number over the steps in which it was measured; what is not finite is there as NaN."""
        return [float(m[name]) for m in self.metrics if m.get("kind", "train") == kind and name in m]

    def early(self, name: str) -> float:
        """Mean of the first tenth of its steps, at least three; NaN where there are too few to speak of a course."""
        return self._mean(name, first=True)

    def late(self, name: str) -> float:
        """Mean of the last tenth, likewise."""
        return self._mean(name, first=False)

    def chance(self, name: str) -> float:
        """Standard error of the difference of both means; 0 where there are too few steps to know it.

        Where both means rest on few steps, it is told by how much each step of the whole course differs from the next.
        """
        parts = [self._part(name, first=first) for first in (True, False)]
        if len(parts[0]) >= FEWEST:
            return math.sqrt(sum(statistics.variance(part) / len(part) for part in parts))
        values = [v for v in self.series(name) if math.isfinite(v)]
        if not parts[0]:
            return 0.0
        # Two neighbours differ by twice the variance of one, and hardly by the course.
        variance = statistics.fmean((b - a) ** 2 for a, b in itertools.pairwise(values)) / 2
        return math.sqrt(2 * variance / len(parts[0]))

    def rises(self, name: str) -> bool:
        """Whether a straight line through all its steps goes up by more than twice its standard error.

        True where there are too few steps to tell.
        """
        values = [v for v in self.series(name) if math.isfinite(v)]
        if len(values) < FEWEST:
            return True
        import scipy.stats  # which takes half a second to load

        line = scipy.stats.linregress(range(len(values)), values)
        return bool(line.slope > 2 * line.stderr)

    def _mean(self, name: str, *, first: bool) -> float:
        part = self._part(name, first=first)
        return sum(part) / len(part) if part else math.nan

    def _part(self, name: str, *, first: bool) -> list[float]:
        values = [v for v in self.series(name) if math.isfinite(v)]
        size = max(3, len(values) // 10) if len(values) >= FEWEST else 0
        return values[:size] if first else values[len(values) - size :]


Symptom = Callable[[Log], Iterator[Finding]]


def symptoms(log: Log, among: Sequence[Symptom]) -> list[Finding]:
    """What these look for and find."""
    return [finding for one in among for finding in one(log)]


def not_finite(log: Log) -> Iterator[Finding]:
    """A loss, a reward or a gradient that is no number."""
    for name in ("loss", "reward", "grad_norm", "policy_loss", "value_loss"):
        if bad := sum(not math.isfinite(v) for v in log.series(name)):
            yield warning(log.key, f"{name} is no finite number in {bad} steps", "lower the learning rate")


def gradients_explode(log: Log) -> Iterator[Finding]:
    """Gradients in the last tenth that are many times those of the first."""
    early, late = log.early("grad_norm"), log.late("grad_norm")
    limit = float(log.settings.get("optimizer", {}).get("max_grad_norm", 1.0))
    if late > 10 * early and late > 10 * limit:
        said = f"gradients grew from a norm of {early:.2g} to {late:.2g}, and are cut to {limit:g}"
        yield warning(log.key, said, "lower the learning rate, or raise warmup")


def nothing_scored(log: Log) -> Iterator[Finding]:
    """A loss of exactly 0 from the first step on: no token counts."""
    losses = log.series("loss")
    if losses and not any(losses):
        said = "the loss is 0 in every step: no token is learned from"
        yield warning(log.key, said, "see that demonstrations have assistant turns, and that the template marks them")


def loss_stays(log: Log) -> Iterator[Finding]:
    """A loss that ends where it began, or above where it was before the first step."""
    losses, early, late = log.series("loss"), log.early("loss"), log.late("loss")
    if losses and late > 1.2 * losses[0] > 0:
        said = f"the loss rose: {losses[0]:.3g} before the first step, {late:.3g} at the end"
        yield warning(log.key, said, "lower the learning rate")
    elif early - late < max(0.02 * early, 2 * log.chance("loss")) and early > 0:
        said = f"the loss did not fall: {early:.3g} at first, {late:.3g} at the end"
        yield warning(log.key, said, "raise the learning rate, or give it more steps")


def overfits(log: Log) -> Iterator[Finding]:
    """A held-out loss that has risen well above its lowest while the training loss fell."""
    measured = log.series("loss", kind="eval") or log.series("eval_loss", kind="eval")  # the second: as it was called
    held_out = [v for v in measured if math.isfinite(v)]
    if log.settings.get("best"):  # the result is that of the lowest point, or of what matters more
        return
    if len(held_out) >= 2 and held_out[-1] > 1.05 * min(held_out) and log.late("loss") < log.early("loss"):
        said = f"the held-out loss is {held_out[-1]:.3g}, after a lowest of {min(held_out):.3g}: it learns by heart"
        yield warning(log.key, said, "take fewer epochs, or keep the best weights: `best`, for sft patience")


def heart_before_head(log: Log) -> Iterator[Finding]:
    """A reward model that orders its training pairs far better than held-out ones."""
    train, held_out = log.late("accuracy"), log.found.get("accuracy", math.nan)
    if train - held_out > 0.2:
        said = f"training pairs are ordered rightly in {train:.0%}, held-out ones in {held_out:.0%}"
        yield warning(log.key, said, "take fewer epochs or a lower learning rate, or collect more judgments")


def no_better_than_chance(log: Log) -> Iterator[Finding]:
    """A reward model whose held-out accuracy may be that of a coin, or is below that of a ruler."""
    found = log.found
    low, longer = found.get("accuracy_low", math.nan), found.get("longer_wins", math.nan)
    if low <= 0.5:
        said = (
            f"held-out pairs are ordered rightly in {found['accuracy']:.0%} [{low:.0%}, …]: maybe no better than a coin"
        )
        yield warning(log.key, said, "collect more judgments, look at how raters agree, or train longer")
    elif found["accuracy"] < longer if "accuracy" in found else False:
        said = f"held-out pairs are ordered rightly in {found['accuracy']:.0%}; “the longer answer” gets {longer:.0%}"
        yield warning(log.key, said, "collect more judgments, or set reward.debias: [length]")


def raters_disagree(log: Log) -> Iterator[Finding]:
    """People who agree no more often than coins do, on what several of them judged.

    Only where the interval is narrow enough to exclude the three in four of people who read.
    """
    low, high = (log.found.get(f"rater_agreement_{end}", math.nan) for end in ("low", "high"))
    if low <= 0.5 and high < 0.75:
        share = log.found["rater_agreement"]
        said = f"two raters of one pair agree in {share:.0%} [{low:.0%}, {high:.0%}]: maybe no better than coins"
        yield warning(
            log.key, said, "look at who answers in haste or at random (assent feedback work), and at the guidelines"
        )


def too_sure(log: Log) -> Iterator[Finding]:
    """A reward model whose stated chances are far from what raters do."""
    if (ece := log.found.get("ece", 0.0)) > 0.15:
        said = f"its stated chances miss what raters do by {ece:.2f} on average"
        yield warning(log.key, said, "take fewer epochs: scores that are too large make rewards too steep")


def kl_runs_away(log: Log) -> Iterator[Finding]:
    """A policy much farther from its start than its target, or than any texts stay sensible at."""
    late = log.late("kl_per_response")
    kl = log.settings.get("kl", {})
    target = float(kl.get("target", 50.0)) if kl.get("kind") == "adaptive" else 50.0
    if late > 3 * target:
        said = f"KL is {late:.0f} nats per answer at the end, {late / target:.0f} times " + (
            "its target" if kl.get("kind") == "adaptive" else "what texts usually stay sensible at"
        )
        yield warning(f"{log.key}.kl", said, "lower the learning rate, or raise kl.coefficient")


def kl_below_zero(log: Log) -> Iterator[Finding]:
    """A mean KL clearly below 0, which rollouts of the policy itself cannot have."""
    late = log.late("kl_per_response")
    if late < -0.5:
        said = f"KL is {late:.1f} nats per answer: answers are not drawn from the policy that is scored"
        yield warning(f"{log.key}.kl", said, "look at sampling.temperature, top_p, the template and stop texts")


def reward_stays(log: Log) -> Iterator[Finding]:
    """A reward that ends no higher than it began, by its own spread, or lower."""
    early, late, spread = log.early("reward"), log.late("reward"), log.early("reward_std")
    seen = f"{early:.2f} at first, {late:.2f} at the end (spread {spread:.2f})"
    if late < early - 0.5 * spread:
        yield warning(log.key, f"the reward fell: {seen}", "lower the learning rate: steps were too large")
    elif late - early < 0.1 * spread or (late - early < 0.3 * spread and not log.rises("reward")):
        fix = "raise the learning rate or steps, or lower kl.coefficient"
        yield warning(log.key, f"the reward did not rise: {seen}", fix)


def no_spread(log: Log) -> Iterator[Finding]:
    """Rewards that are all alike, but for the penalty of answers that were cut: nothing can be learned from them."""
    spread, teaching, ended = log.late("reward_std"), log.late("teaching_groups"), log.late("eos_rate")
    penalty = abs(float(log.settings.get("missing_eos_penalty") or 0.0))
    of_penalty = penalty * math.sqrt(max(0.0, ended * (1 - ended))) if math.isfinite(ended) else 0.0
    if spread < of_penalty + 1e-3 or teaching < 0.1:
        said = f"answers get the same reward (spread {spread:.2g}" + (
            f", {teaching:.0%} of the groups teach)" if math.isfinite(teaching) else ")"
        )
        yield warning(f"{log.key}.rewards", said, "look at what the reward says of a few answers, or raise temperature")


def reward_at_clip(log: Log) -> Iterator[Finding]:
    """A reward that has reached its clip, beyond which better is no better."""
    clip = log.settings.get("reward_clip")
    if clip and log.late("reward") > 0.9 * clip:
        said = f"the mean reward is {log.late('reward'):.2f}, at its clip of {clip:g}: better answers earn no more"
        yield warning(f"{log.key}.reward_clip", said, "raise it; and see whether the reward is being gamed")


def length_drifts(log: Log) -> Iterator[Finding]:
    """Answers that have become much longer or shorter."""
    early, late = log.early("length"), log.late("length")
    if late > 1.5 * early or late < 0.5 * early:
        said = f"answers became {'longer' if late > early else 'shorter'}: {early:.0f} tokens at first, {late:.0f} now"
        yield warning(log.key, said, "look at samples: length may be what is rewarded; see reward.debias: [length]")


def ending_is_what_pays(log: Log) -> Iterator[Finding]:
    """A reward that rose because fewer answers were cut, as far as a third of it."""
    penalty = float(log.settings.get("missing_eos_penalty") or 0.0)
    rise = log.late("reward") - log.early("reward")
    escaped = penalty * (log.late("eos_rate") - log.early("eos_rate"))
    if rise > 0 and escaped > rise / 3:
        said = f"the reward rose by {rise:.2g}, of which {escaped:.2g} is the penalty of answers that are no longer cut"
        fix = "raise sampling.max_new_tokens, or lower the penalty: answers learn to be short, whatever they say"
        yield warning(f"{log.key}.missing_eos_penalty", said, fix)


def answers_say_nothing(log: Log) -> Iterator[Finding]:
    """Answers without a word that were not there at first."""
    early, late = log.early("empty_rate"), log.late("empty_rate")
    if late > early + 0.05:
        said = f"{late:.0%} of the answers are empty, {early:.0%} were at first: silence is paid for"
        fix = "stop earlier, add a cost for it to optimize.rewards, or fit the reward with reward.debias: [length]"
        yield warning(log.key, said, fix)


def answers_never_end(log: Log) -> Iterator[Finding]:
    """Rollouts that hit the limit of tokens, at first or at the end."""
    early, late = log.early("eos_rate"), log.late("eos_rate")
    if min(early, late) < 0.7:
        said = (
            f"{1 - early:.0%} of the answers hit the limit of tokens and were cut at first, {1 - late:.0%} at the end"
        )
        fix = (
            "raise it, or raise missing_eos_penalty" if late < 0.7 else "raise it: a policy learns to be short under it"
        )
        yield warning(f"{log.key}.sampling.max_new_tokens", said, fix)


def entropy_falls(log: Log) -> Iterator[Finding]:
    """A policy that has become sure of every token."""
    early, late = log.early("entropy"), log.late("entropy")
    if late < 0.25 * early:
        said = f"entropy fell from {early:.2f} to {late:.2f} nats per token: answers become alike"
        yield warning(log.key, said, "raise kl.coefficient, or lower the learning rate or steps")


def answers_alike(log: Log) -> Iterator[Finding]:
    """Openings that have become the same, or words fewer than drawing at random would give."""
    for name, words in (("ead", "different words (EAD)"), ("opener_entropy", "entropy of openings")):
        early, late = log.early(name), log.late(name)
        if late < 0.4 * early:
            yield warning(
                log.key, f"{words} fell from {early:.2f} to {late:.2f}: answers become alike", "raise kl.coefficient"
            )


def steps_too_large(log: Log) -> Iterator[Finding]:
    """Too many ratios clipped, or batches left early because the policy was too far from its rollouts."""
    clipped = log.late("clip_fraction")
    if clipped > 0.3:
        said = f"{clipped:.0%} of the tokens had their update cut off"
        yield warning(log.key, said, "lower the learning rate or epochs")
    planned = float(log.settings.get("epochs", 1)) * float(log.settings.get("minibatches", 1))
    made = log.late("policy_updates")
    if made < 0.5 * planned:
        said = f"{made:.1f} of {planned:.0f} updates a batch were made before the KL limit cut in"
        yield warning(f"{log.key}.kl_limit", said, "lower the learning rate or epochs")


def rollouts_of_another(log: Log) -> Iterator[Finding]:
    """A ratio that is not 1 before the first update, or a gap between sampler and learner."""
    ratio, gap = log.late("first_ratio_error"), log.late("sampler_gap_mean")
    if ratio > 0.01:
        said = f"the ratio to the rollouts' policy is off by {ratio:.2g} before the first update; it should be 0"
        yield warning(log.key, said, "look for dropout, another temperature, or a model that is not deterministic")
    if gap > 0.05:
        said = f"sampler and learner differ by {gap:.2f} nats per token"
        yield warning(log.key, said, "use float32, or one attention for both; see `assent doctor` of the config")


def value_knows_nothing(log: Log) -> Iterator[Finding]:
    """A value model that explains none of the returns at the end."""
    late = log.late("explained_variance")
    if late <= 0:
        said = f"the value model explains {late:.0%} of the returns: advantages are those of no baseline"
        yield warning(f"{log.key}.value_optimizer", said, "raise its learning_rate or critic_warmup")


def score_reaches_the_end_alone(log: Log) -> Iterator[Finding]:
    """A score that GAE hands to the last tokens of an answer, where the values between tell next to nothing of it."""
    kept = float(log.settings.get("gamma", 1.0)) * float(log.settings.get("lam", 1.0))
    explained, length = log.late("explained_variance"), log.early("length")
    if not (0 < kept < 1 and explained < LITTLE_EXPLAINED):
        return
    half = math.log(0.5) / math.log(kept)
    if length > MANY_HALVES * half:
        said = (
            f"is {log.settings['lam']:g}: an answer's score counts half as much every {half:.0f} tokens before its end,"
            f" answers had {length:.0f}, and the values between explain {explained:.0%} of it"
        )
        yield warning(f"{log.key}.lam", said, "set it to 1.0, so that all tokens of an answer learn from its score")


def control_runs_off(log: Log) -> Iterator[Finding]:
    """An adaptive KL coefficient that went far and did not bring KL to its target."""
    kl = log.settings.get("kl", {})
    early, late, now = log.early("kl_coefficient"), log.late("kl_coefficient"), log.late("kl_per_response")
    if kl.get("kind") != "adaptive" or not early > 0:
        return
    target = float(kl["target"])
    if late > 10 * early and now > 1.5 * target:
        said = f"rose from {early:.2g} to {late:.2g}, and KL is still {now:.1f} of {target:g} nats"
        yield warning(f"{log.key}.kl.coefficient", said, "lower the learning rate")


def better_by_its_own_measure(log: Log) -> Iterator[Finding]:
    """A reward that rose while people prefer the start: the reward was gamed."""
    share, high = log.found.get("preferred", math.nan), log.found.get("preferred_high", math.nan)
    if high < 0.5 and log.late("reward") > log.early("reward"):
        said = f"the reward rose, yet the new answers are preferred in only {share:.0%}: the reward was gamed"
        yield warning(log.key, said, "stop earlier, raise kl.coefficient, or collect judgments of these answers")


SFT: tuple[Symptom, ...] = (not_finite, gradients_explode, nothing_scored, loss_stays, overfits)
REWARD: tuple[Symptom, ...] = (
    not_finite,
    gradients_explode,
    loss_stays,
    heart_before_head,
    no_better_than_chance,
    raters_disagree,
    too_sure,
)
BEST_OF_N: tuple[Symptom, ...] = (not_finite, gradients_explode, no_spread, answers_never_end)
"""The policy stays as it is while answers are drawn, so that neither reward nor answers change on the way."""
ON_POLICY: tuple[Symptom, ...] = (
    not_finite,
    gradients_explode,
    kl_runs_away,
    kl_below_zero,
    reward_stays,
    no_spread,
    reward_at_clip,
    length_drifts,
    ending_is_what_pays,
    answers_say_nothing,
    answers_never_end,
    entropy_falls,
    answers_alike,
    steps_too_large,
    rollouts_of_another,
    value_knows_nothing,
    score_reaches_the_end_alone,
    control_runs_off,
    better_by_its_own_measure,
)
