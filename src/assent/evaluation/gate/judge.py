"""Whether a judge's verdicts may decide a release: it did not train the policy, and it was held against people."""

from __future__ import annotations

from assent.evaluation.gate.config import JudgeBar
from assent.evaluation.report import Judge, KnownJudge

PEOPLE = ("people", "simulated")
"""Kinds that need no record: people are what others are held against; simulated people stand for them in the lab."""


def refusal_of(judge: Judge | None, known: KnownJudge | None, bar: JudgeBar) -> str | None:
    """Why these verdicts do not count, with the number; None where they do."""
    if judge is None:
        return "nobody compared the answers"
    if not judge.is_independent:
        return f"the judge ({judge}) is what the policy was optimized for"
    if judge.kind not in bar.kinds:
        return f"verdicts of {judge.kind} do not count here; judge.kinds is {', '.join(bar.kinds)}"
    if judge.kind in PEOPLE:
        return None
    if known is None:
        return f"the {judge.kind} was never held against people: `assent judge`, then evaluate.judge_record"
    if known.failures:
        return f"the {judge.kind} stays below its bar: {known.failures[0]}"
    return _too_little(judge.kind, known, bar)


def _too_little(kind: str, known: KnownJudge, bar: JudgeBar) -> str | None:
    beside = "" if known.ceiling is None else f" (people reach {known.ceiling.estimate:.3f} at most)"
    if known.agreement is None or known.agreement.low <= bar.agreement:
        said = "unknown" if known.agreement is None else str(known.agreement)
        return f"agreement of the {kind} with people is {said}{beside}, not surely above {bar.agreement}"
    if known.drift is not None and known.drift.estimate < -bar.most_drift:
        return (
            f"the {kind} has drifted: agreement on its anchors moved by {known.drift}, at most -{bar.most_drift} counts"
        )
    return None
