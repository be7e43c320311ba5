"""What a run of an on-policy method carries from step to step: the price of KL, the averaged weights, the guards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from assent.algorithms.kl import AdaptiveKL, FixedKL
from assent.training.alarms import Alarm
from assent.training.average import MovingAverage
from assent.training.drift import Drift
from assent.training.guards import Guards
from assent.training.held_out_answers import HeldOutAnswers
from assent.training.looks import Looks, Schedule
from assent.training.loop import Loop, Resumable
from assent.training.on_policy import Roles
from assent.training.on_policy_config import KLConfig, OnPolicyConfig


class Course:
    """The way of one run:

        course = Course(roles, config, loop)
        for step in course.steps():
            ...
            course.finish_step(step, facts, len(experience.rollouts.texts))

    After the last step, or where a guard ended it, the policy holds the weights that are the result: the averaged ones
    (`config.ema`), those of the best evaluation (`config.best`), or those that a guard says are best.
    """

    def __init__(self, roles: Roles, config: OnPolicyConfig, loop: Loop) -> None:
        self.kl, self.average, self.drift = KLState(config.kl), MovingAverage(roles.policy, config.ema), Drift()
        self.parts: dict[str, Resumable] = {
            "policy": roles.policy,
            "kl": self.kl,
            "average": self.average,
            "drift": self.drift,
        }
        """What checkpoints carry."""
        if roles.constraints is not None:
            self.parts["constraints"] = roles.constraints
        if roles.ahead is not None:
            self.parts["ahead"] = roles.ahead
        self._roles, self._config, self._loop = roles, config, loop
        self.guards: Guards | None = None
        answers = None if roles.held_out is None else HeldOutAnswers(roles, config, seed=loop.seed)
        if config.guards is not None and answers is not None:
            self.guards = Guards(roles, config, answers)
            self.parts["guards"] = self.guards
        self.looks = looks_of(roles, answers, config, loop)
        self.looks.result = lambda: self.average.weights() or roles.policy.weights()
        self.parts["looks"] = self.looks

    def steps(self, **more: Resumable) -> Iterator[int]:
        """The steps still to do, those parts carried too; then the result is put into the policy."""
        config, loop = self._config, self._loop
        for step in loop.steps(config.steps, self.parts | more, description=config.title, looks=self.looks):
            if self.guards is not None and not self.guards.has_begun:
                self._measure(self.guards, 0)
            yield step
        self._finish()

    def finish_step(self, step: int, facts: Mapping[str, float], num_responses: int) -> None:
        """Adapt to what was seen, log it, and measure where it is time."""
        kl = facts.get("kl_per_response")
        if kl is not None:
            self.kl.observe(kl, num_responses)
        self.average.observe()
        self._tell(self.drift.observe(step, facts))
        self._loop.log.record(step, {**facts, "kl_coefficient": self.kl.coefficient})
        self._loop.shown.update(reward=facts["reward"], kl=float("nan") if kl is None else kl)
        if self.guards is not None and self.guards.is_due(step + 1):
            self._measure(self.guards, step + 1)

    def _measure(self, guards: Guards, taken: int) -> None:
        """Let the guards look at the policy after so many steps, and do as they say."""
        result = self.average.weights() or None
        found = guards.measure(taken, result)
        self._loop.log.record(max(taken - 1, 0), found.facts, kind="guard")
        self._tell(found.alarms)
        if found.raise_kl is not None:
            self.kl.raise_by(*found.raise_kl)
        if found.end is not None and taken < self._config.steps:
            self._loop.end(found.end)

    def _tell(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            self._loop.log.say(f"warning: {alarm}")

    def _finish(self) -> None:
        ahead = self._roles.ahead
        if ahead is not None and ahead.step is not None:
            self._loop.log.say(f"the answers drawn ahead for step {ahead.step} teach nothing: training has ended")
        self.average.take()
        self.looks.take()
        alarms = self.drift.alarms
        if self.guards is not None:
            self.guards.take()
            alarms = [*alarms, *self.guards.alarms]
            self._loop.facts["guards"] = self.guards.facts()
        if alarms:
            self._loop.facts["alarms"] = [one._asdict() for one in sorted(alarms, key=lambda one: one.step)]


def looks_of(roles: Roles, answers: HeldOutAnswers | None, config: OnPolicyConfig, loop: Loop) -> Looks:
    """Looks at the answers to held-out prompts; none where no prompts are held out."""
    looked_at = 0 if answers is None else answers.count
    learned = config.prompts_per_step * config.samples_per_prompt
    schedule = Schedule.of(config, looked_at=looked_at, learned=learned)
    if answers is None:
        return Looks(roles.policy, schedule, None, loop)
    return Looks(
        roles.policy,
        schedule,
        lambda taken: answers.after(taken).measures(),
        loop,
        (lambda taken: answers.after(taken).shown(config.show)) if config.show else None,
    )


class KLState:
    """The KL controller of a run, as a part that checkpoints carry."""

    def __init__(self, config: KLConfig) -> None:
        self._controller: AdaptiveKL | FixedKL = (
            AdaptiveKL(coefficient=config.coefficient, target=config.target, horizon=config.horizon)
            if config.kind == "adaptive"
            else FixedKL(coefficient=0.0 if config.kind == "off" else config.coefficient)
        )

    @property
    def coefficient(self) -> float:
        """Reward lost per nat and token."""
        return self._controller.coefficient

    def observe(self, kl_per_response: float, num_responses: int) -> None:
        """Adapt to the KL of a batch."""
        self._controller = self._controller.update(kl_per_response, num_responses)

    def raise_by(self, factor: float, target: float) -> None:
        """Make KL dearer from now on; an adaptive controller steers to at most `target` nats per answer."""
        coefficient, now = self.coefficient * factor, self._controller
        if isinstance(now, AdaptiveKL):
            self._controller = replace(now, coefficient=coefficient, target=min(now.target, target))
        else:
            self._controller = replace(now, coefficient=coefficient)

    def tensors(self) -> Mapping[str, Tensor]:
        """None."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """The coefficient, and the target where a guard may lower it."""
        target = {"target": self._controller.target} if isinstance(self._controller, AdaptiveKL) else {}
        return {"coefficient": self.coefficient, **target}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take the coefficient of a checkpoint."""
        self._controller = replace(self._controller, **state)
