"""What `make real` found, as Markdown: `python benchmarks/real.py --runs runs > build/real/report.md`.

Everything is read from what the runs wrote; nothing is trained, sampled or chosen here. Intervals are 95 %, over
prompts. The judge is the reward model of real-smol-gold, fitted to other people's judgments of other prompts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assent.artifacts.find import find_artifact
from assent.artifacts.store import Artifact
from assent.core.errors import UserError
from assent.evaluation.judge_scores import JudgeScores
from assent.evaluation.report import EvaluationReport, read_samples
from assent.evaluation.reward_report import RewardReport
from assent.evaluation.suite import Measure
from assent.evaluation.winrate import WinRate
from assent.stats.estimate import Estimate

GOLD, PPO, DPO = "real-smol-gold", "real-smol", "real-smol-dpo"
CHARACTERS = 400
"""Of each text that is shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--count", type=int, default=20, help="unpicked answers")
    arguments = parser.parse_args()
    for line in report(arguments.runs, arguments.count):
        print(line)


def report(runs: Path, count: int) -> Iterator[str]:
    """The report, line by line. What a run has not reached yet is said to be missing."""
    yield "# A real model on real human data\n"
    for name, what in ((GOLD, "the judge"), (PPO, "the reward model that PPO learns from")):
        yield from _reward(runs / name, f"Reward model, {what} (`{name}`)")
    for name, method in ((PPO, "PPO"), (DPO, "DPO")):
        yield from _policy(runs / name, f"{method} (`{name}`)")
    yield from _times(runs)
    yield from _samples(runs, count)


def _found(place: Path) -> Artifact | None:
    try:
        return find_artifact(str(place))
    except UserError:
        return None


def _reward(run: Path, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    found = _found(run / "round-1" / "reward")
    if found is None:
        yield "Not run yet.\n"
        return
    known = RewardReport.model_validate(json.loads(found.file("report.json").read_text(encoding="utf-8")))
    notes = found.manifest.notes
    counts = f"{notes['comparisons']} comparisons learned, {notes['held_out']} held out"
    yield f"{counts}, {notes.get('too_long', 0)} left out as too long."
    yield "\n| held-out pairs | n | accuracy | longer wins |\n|---|---|---|---|"
    yield f"| all | {known.pairs} | {_said(known.accuracy)} | {_said(known.longer_wins)} |"
    for name, bounds in known.by_source.items():
        yield f"| {name} | {bounds.pairs} | {_said(bounds.accuracy)} | {_said(bounds.longer_wins)} |"
    yield ""
    yield f"Reads the question: {_said(known.relevance)}.\n"


def _policy(run: Path, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    place = _found(run / "round-1" / "evaluation")
    if place is None:
        yield "Not run yet.\n"
        return
    found = EvaluationReport.read(place.folder)
    yield "| against the start | |\n|---|---|"
    if (wins := found.win_rate) is not None:
        yield f"| judge prefers the new answer | {_said(wins.win_rate)} |"
        yield f"| the same at equal length{_far(wins)} | {_said(wins.length_controlled)} |"
    if (said := found.judge_scores) is not None:
        yield f"| judge's score, change in deviations of the start's answers | {_said(said.change)} |"
        yield f"| the same at equal length{_far(said)} | {_said(said.at_equal_length)} |"
        yield f"| words an answer, before → after | {said.words_before:.1f} → {said.words_after:.1f} |"
    yield f"| its own reward model, before → after | {_said(found.reward_before)} → {_said(found.reward_after)} |"
    yield f"| KL per response, nats | {_said(found.kl_per_response)} |"
    yield from _suites(run)
    yield ""


def _result(run: Path) -> dict[str, Any]:
    """result.json of a run; empty where the run has not ended."""
    path = run / "result.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _far(found: WinRate | JudgeScores) -> str:
    return ", which was hardly ever seen" if found.is_extrapolated else ""


def _suites(run: Path) -> Iterator[str]:
    """Every measure of the suites with questions of their own."""
    rounds = _result(run).get("rounds") or [{}]
    for suite, measures in (rounds[0].get("suites") or {}).items():
        for name, values in measures.items():
            one = Measure.model_validate(values)
            if suite == "winrate" or (one.before is None and one.after is None):
                continue
            change = f"; change {one.difference}" if one.difference is not None else ""
            yield f"| {suite}, {name} (n = {one.n}) | {_said(one.before)} → {_said(one.after)}{change} |"


def _times(runs: Path) -> Iterator[str]:
    """Minutes of each stage, as they were counted while it ran; a stage that two runs share counts once."""
    stages: dict[str, float] = {}
    for name in (GOLD, PPO, DPO):
        result = _result(runs / name)
        made = [("", result.get("setup", {})), *(("round 1 ", one) for one in result.get("rounds", []))]
        for prefix, part in made:
            for stage, seconds in part.get("seconds", {}).items():
                shared = not prefix and name == DPO
                if not shared:
                    stages[f"{name}, {prefix}{stage}"] = seconds
    if stages:
        yield "## Minutes\n\n| stage | minutes |\n|---|---|"
        yield from (f"| {stage} | {seconds / 60:.1f} |" for stage, seconds in stages.items())
        yield f"| all of these | {sum(stages.values()) / 60:.1f} |\n"
        machine = next((r["machine"] for name in (PPO, GOLD, DPO) if (r := _result(runs / name))), "")
        yield f"Machine: {machine}. Suites are not in the list.\n"


def _samples(runs: Path, count: int) -> Iterator[str]:
    """The first of the held-out prompts, in their order; nothing is left out."""
    both = {name: place for name in (PPO, DPO) if (place := _found(runs / name / "round-1" / "evaluation")) is not None}
    rows = {name: read_samples(place.folder)[:count] for name, place in both.items()}
    if not rows:
        return
    yield f"## The first {count} answers, unpicked\n"
    first = next(iter(rows))
    for number, row in enumerate(rows[first], 1):
        yield f"**{number}.** {_shown(row['prompt'])}\n"
        yield f"- start: {_shown(row['before'])}"
        for name, found in rows.items():
            if number <= len(found) and found[number - 1]["prompt"] == row["prompt"]:
                yield f"- {name}: {_shown(found[number - 1]['after'])}"
        yield ""


def _said(value: Estimate | None) -> str:
    return "not measured" if value is None else str(value)


def _shown(text: str) -> str:
    """A text on one line as code, so that nothing in it is read as markup."""
    line = " ⏎ ".join(text.split("\n")).replace("`", "ˋ")
    return f"`{line[:CHARACTERS]}{' …' if len(line) > CHARACTERS else ''}`"


if __name__ == "__main__":
    main()
