"""Guards: every few steps the policy answers held-out prompts, and what they show may end the training.

The answers (`training/held_out_answers.py`) are scored by the reward that trains and by a held-out one, of which
`training/gauge.py` reads the two curves; and the reward is asked about answers without thought (`training/probes.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from assent.stats.clustered import clustered_mean
from assent.training.alarms import Alarm
from assent.training.gauge import Point, Reading, read
from assent.training.held_out_answers import HeldOutAnswers
from assent.training.on_policy import Roles
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.probes import probe
from assent.training.rewards import scores_of
from assent.training.rollouts import Rollouts


class Measured(NamedTuple):
    """What a measurement says."""

    facts: dict[str, float]
    """What is logged."""
    alarms: list[Alarm]
    """What has become alarming."""
    end: str | None = None
    """Why training should end; None where it should go on."""
    raise_kl: tuple[float, float] | None = None
    """By what the price of KL should be multiplied, and the KL at the peak in nats per answer."""


class Guards:
    """The measurements so far and the best weights; a part that checkpoints carry. Each alarm is told once."""

    def __init__(self, roles: Roles, config: OnPolicyConfig, answers: HeldOutAnswers) -> None:
        assert config.guards is not None and roles.held_out is not None
        self._roles, self._config, self._guards, self._answers = roles, config, config.guards, answers
        self._held_out = roles.held_out
        self._points: list[Point] = []
        self._alarms: list[Alarm] = []
        self._kept: dict[str, dict[str, Tensor]] = {}
        """Weights of the best measurement and of the newest, which may yet become the best."""
        self._best_step: int | None = None
        self._is_past = False

    @property
    def has_begun(self) -> bool:
        """Whether the start was measured."""
        return bool(self._points)

    @property
    def alarms(self) -> list[Alarm]:
        """All so far."""
        return list(self._alarms)

    def is_due(self, taken: int) -> bool:
        """Whether to measure after so many steps: every few, and after the last."""
        return taken % self._guards.every == 0 or taken == self._config.steps

    def measure(self, taken: int, result: Mapping[str, Tensor] | None = None) -> Measured:
        """Look at the policy after so many steps; `result` are the weights that it would end with, if not its own."""
        drawn, rewards, kl = self._answers.after(taken)
        facts = {"after": float(taken), "kl": kl, "distance": math.sqrt(max(kl, 0.0)), **_mean("proxy", rewards, drawn)}
        alarms = self._probe(taken, drawn, facts) if self._guards.probes else []
        gold = self._held_out.gold
        scores = [math.nan] * len(drawn.texts)
        if gold is not None:
            scores = scores_of("optimize.guards.gold", gold, drawn.row_prompts, drawn.texts)
            facts |= _mean("gold", scores, drawn)
        self._points.append(Point(taken, facts["distance"], facts["proxy"], facts.get("gold", math.nan)))
        found = Measured(facts, alarms) if gold is None else self._judge(taken, facts, alarms, result)
        self._alarms += found.alarms
        return found

    def take(self) -> None:
        """Put the best weights into the policy, where the peak is passed and the settings say so."""
        if self._returns_best:
            self._roles.policy.load_weights(self._kept["best"])

    def facts(self) -> dict[str, Any]:
        """What became of it, as plain JSON, for the notes of the policy."""
        reading = read(self._points) if self._held_out.gold is not None else None
        return {
            "measurements": len(self._points),
            "prompts": len(self._held_out.prompts),
            "past_peak": self._is_past,
            "kept_step": self._best_step if self._returns_best else None,
            "best_step": None if reading is None else self._points[reading.best].step,
        }

    @property
    def _returns_best(self) -> bool:
        return self._is_past and self._guards.then in ("stop", "keep_best")

    def _probe(self, taken: int, drawn: Rollouts, facts: dict[str, float]) -> list[Alarm]:
        """Reward-hack probes of the first answer to each prompt."""
        found = probe(drawn.prompts, drawn.texts[:: self._guards.samples], self._answers.reward)
        facts.update(found.facts)
        told = {alarm.name for alarm in self._alarms}
        paid = "do not trust a rise of the reward; have such answers ranked, and fit the reward model again"
        lost = "let the reward score every text, or set optimize.guards.probes=false"
        alarms = [Alarm(f"probe {name}", taken, said, paid) for name, said in found.paid.items()]
        alarms += [
            Alarm(f"unscored {name}", taken, f"the reward cannot score the probe {name}: {why}", lost)
            for name, why in found.unscored.items()
        ]
        return [alarm for alarm in alarms if alarm.name not in told]

    def _judge(
        self, taken: int, facts: dict[str, float], alarms: list[Alarm], result: Mapping[str, Tensor] | None
    ) -> Measured:
        """Is the peak of the held-out reward behind?"""
        reading = read(self._points)
        self._keep(reading, result)
        if reading is None:
            return Measured(facts, alarms)
        best, fitted = self._points[reading.best], reading.forecast
        peak = None if fitted is None else fitted.peak()
        facts |= {"past_peak": reading.past_peak, "best_step": float(best.step)}
        facts |= {} if peak is None else {"peak": peak.estimate, "peak_low": peak.low, "peak_high": peak.high}
        if reading.past_peak < self._guards.confidence:
            return Measured(facts, alarms)
        raised = None
        if self._guards.then == "raise_kl" and peak is not None:
            raised = (self._guards.kl_factor, peak.estimate**2)
        if self._is_past:
            return Measured(facts, alarms, raise_kl=raised)
        self._is_past = True
        alarm = _over_optimized(self._points, reading, self._guards.then)
        end = f"{alarm.said}; {alarm.fix}" if self._guards.then == "stop" else None
        return Measured(facts, [*alarms, alarm], end, raised)

    def _keep(self, reading: Reading | None, result: Mapping[str, Tensor] | None) -> None:
        """Keep the newest weights, and those before as the best where they have become that."""
        if reading is not None:
            self._best_step = self._points[reading.best].step
        if self._guards.then not in ("stop", "keep_best"):
            return
        if reading is not None and reading.best == len(self._points) - 2:
            self._kept["best"] = self._kept["newest"]
        self._kept["newest"] = dict(self._roles.policy.weights() if result is None else result)

    def tensors(self) -> Mapping[str, Tensor]:
        """The kept weights."""
        newest, best = self._kept.get("newest", {}), self._kept.get("best", {})
        return {f"newest/{name}": one for name, one in newest.items()} | {
            f"best/{name}": one for name, one in best.items()
        }

    def state(self) -> Mapping[str, Any]:
        """Everything else."""
        return {
            "points": [[None if math.isnan(one) else one for one in point] for point in self._points],
            "alarms": [list(alarm) for alarm in self._alarms],
            "best_step": self._best_step,
            "is_past": self._is_past,
        }

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self._points = [
            Point(step, distance, proxy, math.nan if gold is None else gold)
            for step, distance, proxy, gold in state["points"]
        ]
        self._alarms = [Alarm(*row) for row in state["alarms"]]
        self._best_step, self._is_past = state["best_step"], state["is_past"]
        self._kept = {}
        for key, one in tensors.items():
            which, _, name = key.partition("/")
            self._kept.setdefault(which, {})[name] = one.clone()


def _over_optimized(points: Sequence[Point], reading: Reading, then: str) -> Alarm:
    """The alarm that the held-out reward is past its peak."""
    best, now = points[reading.best], points[-1]
    said = (
        f"over-optimization: the held-out reward was best after step {best.step} ({best.gold:.2f}) and is"
        f" {now.gold:.2f} now, while the reward that trains went from {best.proxy:.2f} to {now.proxy:.2f};"
        f" at √KL {now.distance:.2f} it falls with probability {reading.past_peak:.3f}"
    )
    fix = {
        "stop": f"training ends here, and the weights after step {best.step} are the result",
        "keep_best": "training goes on, and the best weights are the result",
        "raise_kl": "the price of KL is raised",
        "warn": f"take fewer steps (about {best.step}), raise optimize.kl.coefficient, or have more answers ranked",
    }[then]
    return Alarm("over-optimization", now.step, said, fix)


def _mean(name: str, scores: Sequence[float], drawn: Rollouts) -> dict[str, float]:
    """The mean score, and half the width of its interval over prompts."""
    found = clustered_mean(scores, [prompt.id for prompt in drawn.row_prompts])
    return {name: found.estimate, f"{name}_half": found.half_width}
