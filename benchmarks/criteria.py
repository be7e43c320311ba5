"""Scores by criterion: real reviews of summaries, and how often each interval holds the truth in a world that is known.

    python benchmarks/criteria.py [--data ../shared/data/squality_human_eval] [--draws 400] [--prompts 300] [--seed 0]

First SQuALITY's human evaluation (CC BY 4.0): three reviewers score and rank two models' and a person's summaries. Then
a simulation: people score and choose between answers of two models, a judge that flatters one of them and errs does so
everywhere, and people's labels are few. `--draws 0` leaves it out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from assent.core import seeds
from assent.core.types import Judgment, Ranking
from assent.feedback.quality.corrected import Corrected, corrected_scores, corrected_win_rates
from assent.feedback.quality.criteria import Scored, scored
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.quality.sheets import Sheets
from assent.stats.estimate import Estimate

SYSTEMS = ("bart", "bart-dpr", "human")
REVIEWED = {"correctness": (0.0, 100.0), "selection": (0.0, 100.0)}
SCALES = {"helpful": (1.0, 5.0), "short": (1.0, 3.0)}
WEIGHTS = np.array([3.0, 1.0])
"""Log-odds that a whole scale of each criterion brings."""
LEADS = {"new": 0.5, "old": 0.0}
FLATTERED = 0.8
"""Points that the judge adds to every answer of the new model."""
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("ASSENT_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=home / "squality_human_eval")
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--prompts", type=int, default=300, help="that the judge knows; people label a fifth of them")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    reviewed(asked.data)
    if asked.draws:
        simulated(asked.draws, asked.prompts, asked.seed)


def reviewed(folder: Path) -> None:
    """The real reviews: all three systems, and the two models without the person, which is the useful contrast."""
    for title, systems in (("all three", SYSTEMS), ("two models", SYSTEMS[:2])):
        found = scored(reviews(folder, systems), REVIEWED)
        assert found is not None
        print(f"SQuALITY, {title}: {found.judgments} judgments of {found.raters} people, {found.choices} ranked pairs")
        for one in found.criteria:
            means = ", ".join(f"{model} {mean}" for model, mean in one.means.items())
            gaps = ", ".join(f"{gap.model} - {gap.other} {gap.difference}" for gap in one.differences)
            print(f"  {one.name}: {means}\n    {gaps}")
            print(f"    {one.missing} missing, {one.off_scale} beyond the scale")
            print(f"    alpha {one.alpha}, same score {one.same}, weight {one.weight}")


def reviews(folder: Path, systems: tuple[str, ...] = SYSTEMS) -> Sheets:
    """A sheet for each story's question and reviewer; the overall ranks are the ranking."""
    with gzip.open(folder / "human_eval.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    facts, judgments = {}, []
    for row in rows:
        name = f"{row['passage-id']}-{row['question_index']}"
        answers = {f"{name}-{system}": system for system in systems}
        facts[name] = TaskFacts(name, name, "rank", 0, dict.fromkeys(answers, 0), models=answers)
        said: dict[str, dict[str, dict[str, float]]] = {}
        for answer, system in answers.items():
            for review in row[system]["reviews"]:
                said.setdefault(review["worker_id"], {})[answer] = review
        for rater, of in said.items():
            ranking = Ranking.by_score({answer: -one["overall-rank"] for answer, one in of.items()})
            given = {answer: {name: one[f"{name}-rating"] for name in REVIEWED} for answer, one in of.items()}
            judgments.append(
                Judgment(task_id=name, rater_id=rater, id=f"{name}/{rater}", ranking=ranking, scores=given)
            )
    return Sheets.read(judgments, facts)


def simulated(draws: int, prompts: int, seed: int) -> dict[str, float]:
    """How often each interval holds what would be measured on endlessly many prompts; people label a fifth of them."""
    truth = true_values(seed)
    found: dict[str, list[Estimate]] = {}
    saved: dict[str, list[int]] = {}
    for draw in range(draws):
        people, judges = World(seeds.stream(seed, "criteria", draw), prompts).sheets(labelled=prompts // 5)
        for name, one in {**of_people(scored(people, SCALES)), **of_judges(people, judges, saved)}.items():
            found.setdefault(name, []).append(one)
    print(f"\nsimulation: {draws} worlds, {prompts} prompts with a judge, {prompts // 5} with people, seed {seed}")
    shares = {}
    for name, all_of_it in found.items():
        true = truth[name.split(", ")[0]]
        shares[name] = share = float(np.mean([one.low <= true <= one.high for one in all_of_it]))
        error, width = 1.96 * np.sqrt(share * (1 - share) / draws), np.mean([one.high - one.low for one in all_of_it])
        extra = f", {np.mean(saved[name]):.0f} labels saved" if name in saved else ""
        print(f"  {name}: coverage {share:.3f} ± {error:.3f}, mean width {width:.3f}{extra}")
    return shares


def of_people(found: Scored | None) -> dict[str, Estimate]:
    """Mean, difference and weight as people alone say them."""
    assert found is not None
    helpful, short = found.criteria
    assert helpful.weight is not None and short.weight is not None
    return {
        "mean of new": helpful.means["new"],
        "new - old": helpful.differences[0].difference,
        "weight of helpful": helpful.weight,
        "weight of short": short.weight,
    }


def of_judges(people: Sheets, judges: Sheets, saved: dict[str, list[int]]) -> dict[str, Estimate]:
    """The corrected mean and win rate of the new model, and what the same labels say alone."""
    found: dict[str, Estimate] = {}
    scores = [one for one in corrected_scores(people, judges, SCALES) if (one.what, one.model) == ("helpful", "new")]
    named: dict[str, Corrected] = {"mean of new": scores[0], "wins of new": corrected_win_rates(people, judges)[0]}
    for name, one in named.items():
        found[f"{name}, corrected"] = one.corrected
        found[f"{name}, labels of the same items"] = one.labels_alone
        saved.setdefault(f"{name}, corrected", []).append(one.saved)
    return found


class World:
    """Prompts with answers of two models: what two people and a judge think of each."""

    def __init__(self, random: np.random.Generator, prompts: int) -> None:
        self._random, self._prompts = random, prompts
        hard = random.normal(0, 0.6, prompts)
        self.quality = {m: 3 + lead + hard + random.normal(0, 0.6, prompts) for m, lead in LEADS.items()}
        self.length = {m: 2 + random.normal(0, 0.7, prompts) for m in LEADS}

    def people(self) -> tuple[dict[str, dict[str, Floats]], Floats]:
        """One person's scores [prompts] by model and criterion, and their choices: 1 for new."""
        given = {
            m: {"helpful": self._scored(self.quality[m], 5), "short": self._scored(self.length[m], 3)} for m in LEADS
        }
        widths = {name: high - low for name, (low, high) in SCALES.items()}
        lead = sum(
            w * (given["new"][name] - given["old"][name]) / widths[name]
            for w, name in zip(WEIGHTS, SCALES, strict=True)
        )
        return given, (self._random.random(self._prompts) < expit(lead)).astype(float)

    def judge(self) -> tuple[dict[str, dict[str, Floats]], Floats]:
        """The judge's scores and choices."""
        given = {
            m: {
                "helpful": self.quality[m]
                + (FLATTERED if m == "new" else 0)
                + self._random.normal(0, 0.4, self._prompts)
            }
            for m in LEADS
        }
        return given, (given["new"]["helpful"] > given["old"]["helpful"]).astype(float)

    def sheets(self, *, labelled: int) -> tuple[Sheets, Sheets]:
        """Two people on prompts drawn at random, and the judge on all."""
        some = self._random.permutation(self._prompts)[:labelled]
        people = [one for rater in ("ann", "ben") for one in self._judgments(rater, *self.people(), some)]
        judged = self._judgments("judge", *self.judge(), np.arange(self._prompts))
        facts = {one.task_id: self._facts(one.task_id) for one in judged}
        return Sheets.read(people, facts), Sheets.read(judged, facts)

    def _scored(self, meant: Floats, steps: int) -> Floats:
        return np.clip(np.round(meant + self._random.normal(0, 0.5, self._prompts)), 1, steps)

    @staticmethod
    def _judgments(
        rater: str, given: dict[str, dict[str, Floats]], choice: Floats, prompts: NDArray[np.intp]
    ) -> list[Judgment]:
        return [
            Judgment(
                task_id=f"p{n}",
                rater_id=rater,
                ranking=Ranking(tiers=(("new",), ("old",)) if choice[n] else (("old",), ("new",))),
                scores={m: {name: float(values[n]) for name, values in of.items()} for m, of in given.items()},
            )
            for n in prompts
        ]

    @staticmethod
    def _facts(name: str) -> TaskFacts:
        return TaskFacts(name, name, "pair", 0, dict.fromkeys(LEADS, 0), models={m: m for m in LEADS})


def true_values(seed: int) -> dict[str, float]:
    """What endlessly many prompts would give: a million of them."""
    given, choice = World(seeds.stream(seed, "criteria", "truth"), 1_000_000).people()
    new, old = given["new"]["helpful"].mean(), given["old"]["helpful"].mean()
    return {
        "mean of new": float(new),
        "new - old": float(new - old),
        "weight of helpful": float(WEIGHTS[0]),
        "weight of short": float(WEIGHTS[1]),
        "wins of new": float(choice.mean()),
    }


if __name__ == "__main__":
    main()
