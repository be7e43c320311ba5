"""Judges that were held against people before: is this the one, and is it still as good?"""

from __future__ import annotations

from pathlib import Path

from assent.artifacts.outside import identity_of
from assent.core.errors import RunError, UserError
from assent.evaluation.report import KnownJudge
from assent.evaluation.validation.record import JudgeRecord, drift, read_anchors
from assent.raters.config import RatersConfig
from assent.raters.rater import SingleRater


def known_judge(folder: Path, config: RatersConfig, judge: SingleRater) -> KnownJudge:
    """What is known of a judge, and how it does on its anchors now.

    Raises UserError where the record is of another judge, RunError where the judge became worse.
    """
    record = JudgeRecord.read(folder)
    if record.identity != identity_of(config):
        raise UserError(
            f"{folder} is the record of {record.judge} with other settings, another model or another rubric than"
            f" {judge.record.id} has now; hold the judge against people anew with: assent judge"
        )
    found = drift(read_anchors(folder), judge)
    if found is not None and found.is_worse:
        raise RunError(
            f"{record.judge} has become worse: on its {found.n} anchors it agrees with people"
            f" {found.moved.estimate:+.3f} [{found.moved.low:+.3f}, {found.moved.high:+.3f}] oftener than when it was"
            " validated; nothing is judged with it. Hold it against people anew with: assent judge"
        )
    return KnownJudge(
        agreement=record.agreement.with_votes,
        ceiling=record.agreement.ceiling,
        pairs=record.agreement.pairs,
        failures=record.failures,
        drift=None if found is None else found.moved,
    )
