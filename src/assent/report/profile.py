"""The passport of a profile as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from assent.core import files
from assent.core.errors import UserError
from assent.evaluation.gate.decide import line_in_words
from assent.pipeline.passport import Passport, place_of
from assent.profiles.config import Level
from assent.profiles.principles import of_tone
from assent.report.cards import Card, card
from assent.report.comparisons import at_equal_length
from assent.report.figures import Row, intervals, levels
from assent.report.page import rendered
from assent.report.plots import BAD, GOOD, SOFT
from assent.stats.estimate import Estimate

ALLOWS: dict[Level, str] = {
    "principles": "principles only",
    "shared": "the shared reward with a shrunken offset, and an adapter",
    "own": "a reward head and an adapter of its own",
}


class Check(NamedTuple):
    """One thing that had to hold, what was found, and whether it held; None: not asked."""

    name: str
    found: str
    held: bool | None


def write_page(folder: Path, name: str) -> str:
    """Write the page beside the record and say where it is. Raises UserError where the profile has no passport yet."""
    passport = Passport.read(folder, name)
    if passport is None:
        raise UserError(f"{name} has no passport yet; ask for it: assent profile publish {name}")
    path = place_of(folder, name, "html")
    files.write_text(path, page_of(passport))
    return f"page: {path}"


def page_of(passport: Passport) -> str:
    """The page. What people wrote is escaped, and what could turn or hide text is spelled out."""
    return rendered(
        "passport.html.jinja",
        p=passport,
        tone_words=of_tone(passport.tone),
        allows="" if passport.evidence is None else ALLOWS[passport.evidence.level],
        checks=list(checks_of(passport)),
        cards=list(_cards(passport)),
        audience="; ".join(f"{name}: {', '.join(values)}" for name, values in passport.audience.items()) or "everybody",
    )


def checks_of(passport: Passport) -> Iterator[Check]:
    """What a publication wants, one by one."""
    trial, wins, floor = passport.trial, passport.wins, passport.floor_held
    if trial is not None:
        found = "could not be made" if trial.p is None else f"p = {trial.p:.4f} of {trial.permutations:,}"
        how = " (all there are)" if trial.is_exact else ""
        held = trial.p is not None and trial.p <= 0.05
        yield Check("Membership shuffled over raters pulls less than the audience", found + how, held)
        gain = "not measured" if trial.gain is None else f"{trial.gain} nats a vote"
        yield Check(
            "People and prompts not seen are better predicted", gain, trial.gain is not None and trial.gain.low > 0
        )
        lost = "not measured" if trial.parents_loss is None else f"{trial.parents_loss} nats a vote"
        yield Check("What the parent's whole audience would lose (shown, no bar)", lost, None)
    if wins is not None:
        wanted = passport.evidence is not None and passport.evidence.level != "principles"
        found = f"{wins.headline}, {wins.verdicts} verdicts of {wins.raters} raters on {wins.prompts} prompts"
        yield Check("People of the audience prefer its answers", found, wins.headline.low > 0.5 if wanted else None)
    for line in floor.lines if floor is not None else ():
        yield Check("Safety floor", line_in_words(line), line.verdict == "pass")
    if passport.floor and floor is None:
        yield Check("Safety floor", "not asked, since something before it did not hold", None)


def _cards(passport: Passport) -> Iterator[Card]:
    trial, wins = passport.trial, passport.wins
    if trial is not None and trial.gain is not None and trial.parents_loss is not None:
        lost = trial.parents_loss
        others = Estimate(estimate=-lost.estimate, low=-lost.high, high=-lost.low)
        rows = [
            Row("audience, over prompts", trial.gain, _colour(trial.gain)),
            *([] if trial.gain_by_rater is None else [Row("audience, over raters", trial.gain_by_rater, SOFT)]),
            Row("parent's whole audience", others, SOFT),
        ]
        note = (
            "Held-out log-loss of the parent's reward less the profile's, in nats a vote; right of 0 the profile"
            f" predicts better. A true gain of {trial.smallest:.3f} would be seen four times in five."
        )
        yield card("Reward", note, levels(rows, "Held-out gain of the reward", references=(0.0,)), size="wide")
    if wins is not None:
        rows = [Row("preferred", wins.headline, GOOD if wins.headline.low > 0.5 else SOFT)]
        rows.append(Row(at_equal_length(wins), wins.length_controlled, SOFT))
        note = (
            f"Blind, in both orders, against the parent's policy; {passport.left_out} verdicts of people outside the"
            " audience, or learned from, are left out."
        )
        yield card("People", note, intervals(rows, "Preferred by the audience", reference=0.5), size="wide")


def _colour(found: Estimate) -> str:
    return GOOD if found.low > 0 else BAD if found.high < 0 else SOFT
