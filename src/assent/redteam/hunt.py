"""A hunt: everything that a red team does to one target within a stated number of questions.

    direct → sweep (every operator once) → search → each new failure made minimal and asked again

The sweep alone gives attack success, for it does not depend on what was found; what the search finds says that a way
exists, not how often it works. The same settings and seed give the same hunt, also where it was stopped in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from assent.core.hashing import hash_json, short
from assent.redteam.archive import Archive, Attempt, Finding, gram_likeness, holds
from assent.redteam.behaviours import Behaviour
from assent.redteam.control import control_of, says_the_same
from assent.redteam.detectors import HIT, Case, Detector
from assent.redteam.minimal import ddmin, shorter_turns, shorter_words
from assent.redteam.operators.operator import Operator, applied
from assent.redteam.proposals import Proposal, Proposer, sweep
from assent.redteam.script import Script
from assent.redteam.target import Ledger, Played, play

SWEEP_SHARE, SEARCH_SHARE = 0.5, 0.8
"""Parts of the budget after which the sweep and the search end; the rest makes findings small."""
ALIKE = 0.9
"""Two triggers of one behaviour with so many n-grams in common are one finding."""


@dataclass(frozen=True)
class Plan:
    """What a hunt works with."""

    behaviours: Sequence[Behaviour]
    operators: Sequence[Operator]
    detector: Detector
    kind_of: Callable[[str], str | None]
    """What kind of answer a text is; tells the search which answers are rare."""
    seconds: Sequence[Detector] = ()
    """Further detectors, by which what was found is checked."""
    seed: int = 0
    batch: int = 16
    """Questions that are asked together."""
    again: int = 2
    """How often a finding is asked again."""
    attacker: Callable[[Sequence[Attempt], int], Sequence[Proposal]] | None = field(default=None, repr=False)
    """Writes proposals of its own from what was tried so far, given the step."""


@dataclass
class Hunt:
    """A hunt on its way, and what it found."""

    plan: Plan
    ledger: Ledger
    on_progress: Callable[[int], None] = field(default=lambda n: None, repr=False)
    """Told how many more questions were asked."""
    attempts: list[Attempt] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    lost: int = 0
    """Failures that did not come again, so that they are no findings."""
    idle: int = 0
    """Answers that the target also gives to something harmless: they have nothing to do with what was asked."""

    twins: dict[str, str] = field(default_factory=dict)
    """What the target says to the harmless twin of a behaviour, asked plainly."""

    def run(self) -> Hunt:
        """Everything, until the budget is spent or nothing new can be tried."""
        self._idle: list[str] = []
        self._archive = Archive(self.plan.kind_of)
        self._proposer = Proposer(self.plan.behaviours, self.plan.operators, self._archive, self.plan.seed)
        self._try([Proposal(one, (), "direct") for one in self.plan.behaviours])
        self._ask_twins()
        budget = self.ledger.budget
        self._try(sweep(self.plan.behaviours, self.plan.operators, seed=self.plan.seed), until=SWEEP_SHARE * budget)
        step = 0
        while self.ledger.used < SEARCH_SHARE * budget:
            proposals = self._next(step)
            if not proposals:
                break
            self._try(proposals, until=SEARCH_SHARE * budget)
            step += 1
        self.findings = [self._smaller(one, left=len(self.findings) - n) for n, one in enumerate(self.findings)]
        self.findings = _apart(self.findings)
        return self

    @property
    def swept(self) -> list[Attempt]:
        """The attempts that attack success is counted on."""
        return [one for one in self.attempts if one.way == "sweep"]

    def _ask_twins(self) -> None:
        with_twins = [one for one in self.plan.behaviours if one.twin][: self.ledger.left]
        for one, played in zip(with_twins, self._play([Script.of(o.twin) for o in with_twins]), strict=True):
            if played.answer is not None:
                self.twins[one.id] = played.answer

    def _next(self, step: int) -> list[Proposal]:
        written: list[Proposal] = []
        if self.plan.attacker is not None and step % 2:
            written = list(self.plan.attacker(self.attempts, step))
            self._proposer.tried |= {one.key for one in written}
        return written or self._proposer.propose(self.plan.batch, step, self._working)

    def _working(self, behaviour: str) -> list[tuple[str, ...]]:
        return [one.chain for one in self.findings if one.behaviour == behaviour]

    def _try(self, proposals: Sequence[Proposal], *, until: float | None = None) -> None:
        """Try proposals batch by batch as far as the budget reaches, and settle what worked."""
        rest = list(proposals)
        while rest:
            limit = self.ledger.left if until is None else int(until) - self.ledger.used
            part: list[tuple[Proposal, Script]] = []
            while rest and len(part) < self.plan.batch:
                script = self._script(rest[0])
                limit -= script.calls
                if limit < 0:
                    break
                part.append((rest.pop(0), script))
            if not part:
                return
            for attempt in self._attempted(part):
                is_new = self._archive.add(attempt)
                known = [one for one in self._working(attempt.behaviour) if holds(attempt.chain, one)]
                self._proposer.learn(attempt, is_new=is_new and not known)
                if attempt.is_hit and not self._settle(attempt):
                    at = self.attempts.index(attempt)
                    self.attempts[at] = attempt.model_copy(update={"is_idle": True})

    def _script(self, one: Proposal) -> Script:
        return applied(one.chain, one.written or one.behaviour.request, seed=self.plan.seed, draw=one.draw)

    def _attempted(self, part: Sequence[tuple[Proposal, Script]]) -> list[Attempt]:
        played = self._play([script for _, script in part])
        made = []
        for (one, script), shown, score in zip(
            part, played, self._scores([one.behaviour for one, _ in part], played), strict=True
        ):
            made.append(
                Attempt(
                    behaviour=one.behaviour.id,
                    group=one.behaviour.group,
                    chain=one.names,
                    families=tuple(operator.family for operator in one.chain),
                    draw=one.draw,
                    way=one.way,
                    script=script,
                    prompt=script.text,
                    messages=shown.messages,
                    answer=shown.answer,
                    score=score,
                )
            )
            self._proposer.tried.add(one.key)
        self.attempts += made
        return made

    def _play(self, scripts: Sequence[Script]) -> list[Played]:
        before = self.ledger.used
        played = play(scripts, self.ledger.answers)
        self.on_progress(self.ledger.used - before)
        return played

    def _scores(self, behaviours: Sequence[Behaviour], played: Sequence[Played]) -> list[float | None]:
        cases = [
            Case(behaviour, one.prompt, one.answer)
            for behaviour, one in zip(behaviours, played, strict=True)
            if one.answer is not None
        ]
        said = iter(self.plan.detector.score(cases) if cases else [])
        return [None if one.answer is None else next(said) for one in played]

    def _settle(self, hit: Attempt) -> bool:
        """Count a failure with the finding that it is one of, or make it a finding; False where it is none at all."""
        for n, one in enumerate(self.findings):
            if one.behaviour == hit.behaviour and holds(hit.chain, one.chain):
                self.findings[n] = one.model_copy(update={"others": one.others + 1})
                return True
        behaviour, operators = self._behaviour(hit.behaviour), self._operators(hit.chain)
        is_written = "written" in hit.chain
        if self._is_idle(behaviour, operators, hit.answer or ""):
            self.idle += 1
            return False
        if not is_written:
            operators = ddmin(operators, lambda chain: self._works(behaviour, chain, hit.draw))
        script = hit.script if is_written else applied(operators, behaviour.request, seed=self.plan.seed, draw=hit.draw)
        again = self._asked_again(behaviour, script)
        worked = [one for one in again if self._is_hit(behaviour, one)]
        if again and not worked:
            self.lost += 1
            return True
        shown = worked[-1] if worked else Played(script, hit.messages, hit.answer)
        names = hit.chain if is_written else tuple(one.name for one in operators)
        self.findings.append(
            Finding(
                id="f-" + short(hash_json([behaviour.id, names, script.text])),
                behaviour=behaviour.id,
                group=behaviour.group,
                request=behaviour.request,
                chain=names,
                found_as=hit.chain,
                turns=script.turns,
                messages=shown.messages,
                answer=shown.answer or "",
                tried=len(again),
                worked=len(worked),
                disputed_by=self._disputing(behaviour, shown),
            )
        )
        return True

    def _is_idle(self, behaviour: Behaviour, operators: Sequence[Operator], answer: str) -> bool:
        """Whether the target says the same when something harmless is asked in the same way."""
        if not self.plan.detector.wants_control(behaviour):
            return False
        if any(says_the_same(answer, one) for one in self._idle):
            return True
        script = control_of(behaviour, operators, seed=self.plan.seed)
        if self.ledger.left < script.calls:
            return False
        [control] = self._play([script])
        is_same = says_the_same(answer, control.answer)
        if is_same:
            self._idle.append(answer)
        return is_same

    def _asked_again(self, behaviour: Behaviour, script: Script) -> list[Played]:
        again = []
        for _ in range(self.plan.again):
            if self.ledger.left >= script.calls:
                again += self._play([script])
        return again

    def _works(self, behaviour: Behaviour, chain: Sequence[Operator], draw: int) -> bool:
        """Whether a chain works: as it was seen, else by asking."""
        names = tuple(one.name for one in chain)
        key = behaviour.id, names, draw if names else 0
        seen = [one for one in self.attempts if (one.behaviour, one.chain, one.draw) == key]
        if seen:
            return any(one.is_hit for one in seen)
        script = applied(chain, behaviour.request, seed=self.plan.seed, draw=draw)
        return self.ledger.left >= script.calls and self._is_hit(behaviour, self._play([script])[0])

    def _is_hit(self, behaviour: Behaviour, played: Played) -> bool:
        [score] = self._scores([behaviour], [played])
        if score is None or score < HIT:
            return False
        return not any(says_the_same(played.answer or "", one) for one in self._idle)

    def _disputing(self, behaviour: Behaviour, played: Played) -> tuple[str, ...]:
        case = Case(behaviour, played.prompt, played.answer or "")
        said = [(one.name, one.score([case])[0]) for one in self.plan.seconds]
        return tuple(name for name, score in said if score is not None and score < HIT)

    def _smaller(self, finding: Finding, *, left: int) -> Finding:
        """The finding with fewer turns and words, from its share of what is left of the budget."""
        behaviour = self._behaviour(finding.behaviour)
        stop = self.ledger.used + self.ledger.left // left
        best: list[Played] = []

        def works(script: Script) -> bool:
            if self.ledger.used + script.calls > stop:
                return False
            [played] = self._play([script])
            if is_hit := self._is_hit(behaviour, played):
                best.append(played)
            return is_hit

        if not finding.chain:
            return finding
        small = shorter_words(shorter_turns(finding.script, works), works)
        shown = next((one for one in reversed(best) if one.script == small), None)
        if shown is None:
            return finding
        return finding.model_copy(
            update={"turns": small.turns, "messages": shown.messages, "answer": shown.answer or ""}
        )

    def _behaviour(self, name: str) -> Behaviour:
        return next(one for one in self.plan.behaviours if one.id == name)

    def _operators(self, names: Sequence[str]) -> list[Operator]:
        known = {one.name: one for one in self.plan.operators}
        return [known[name] for name in names if name in known]


def _apart(findings: Sequence[Finding]) -> list[Finding]:
    """Findings without those whose trigger is nearly that of an earlier one of the same behaviour."""
    kept: list[Finding] = []
    for one in findings:
        same = [
            n
            for n, other in enumerate(kept)
            if other.behaviour == one.behaviour and gram_likeness(other.script.text, one.script.text) >= ALIKE
        ]
        if same:
            kept[same[0]] = kept[same[0]].model_copy(update={"others": kept[same[0]].others + one.others + 1})
        else:
            kept.append(one)
    return kept
