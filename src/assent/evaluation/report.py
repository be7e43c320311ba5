"""EvaluationReport: what a blind evaluation found. The same class writes evaluation.json and reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from assent.algorithms.kl import best_of_n_kl
from assent.core import files
from assent.core.errors import DataError
from assent.core.problems import first_problem
from assent.core.types import Record
from assent.evaluation.judge_scores import JudgeScores
from assent.evaluation.suite import Measure, SuiteReport
from assent.evaluation.suites import lab, winrate
from assent.evaluation.winrate import WinRate
from assent.stats.estimate import Estimate

EVALUATION = "evaluation.json"
SAMPLES = "samples.jsonl"
OWN_REWARD = "reward model of this round"
"""How result.json and manifests call a judge that is not independent."""


class Judge(Record):
    """Who compared the answers."""

    kind: str
    """A kind of raters, or reward_model."""
    is_independent: bool
    """False where the answers were judged by the very reward model that they were optimized for."""

    @classmethod
    def of(cls, kind: str, *, is_own: bool) -> Judge:
        """The judge of a kind; its own where it is what the policy was optimized for."""
        return cls(kind=kind, is_independent=not is_own)

    @classmethod
    def named(cls, name: str) -> Judge:
        """The judge of that name in result.json."""
        is_own = name.startswith("reward model")
        return cls(kind="reward_model" if is_own else name, is_independent=not is_own)

    def __str__(self) -> str:
        if self.is_independent:
            return self.kind
        return OWN_REWARD if self.kind == "reward_model" else f"{self.kind}, which the policy was optimized for"


class KnownJudge(Record):
    """What is known of a judge that is no person, from its record, and from its anchors in this evaluation."""

    agreement: Estimate | None = None
    """With votes of people."""
    ceiling: Estimate | None = None
    """The most that any judge could reach."""
    pairs: int = 0
    failures: tuple[str, ...] = ()
    """Each way in which it stayed below its bar."""
    drift: Estimate | None = None
    """Agreement on its anchors now less then."""


class Trainers(Record):
    """Evaluators who have also given judgments to learn from, in the same store."""

    raters: int
    verdicts: int
    """Verdicts that are theirs."""


class BestOfN(Record):
    """That the new policy gave the best of several answers by the round's reward model."""

    n: int
    kl_bound: float
    """Nats that this adds to its distance at most: log n - (n - 1)/n, whatever scores (Stiennon et al. 2020)."""

    @classmethod
    def of(cls, n: int) -> BestOfN:
        """The best of n."""
        return cls(n=n, kl_bound=best_of_n_kl(n))


class EvaluationReport(Record):
    """A policy against another. What was not measured is None or missing."""

    model_config = ConfigDict(extra="ignore")

    judge: Judge | None = None
    known_judge: KnownJudge | None = None
    """None where people judged, or nobody held the judge against people."""
    win_rate: WinRate | None = None
    judge_scores: JudgeScores | None = None
    """Of a judge that scores single answers; None for others, and in reports of older versions."""
    kl_per_response: Estimate | None = None
    """Nats, of the policy's own samples; choosing the best of several comes on top (`best_of`)."""
    best_of: BestOfN | None = None
    """None where every answer was the only one."""
    reward_before: Estimate | None = None
    """Mean score of the round's reward model on the baseline's answers."""
    reward_after: Estimate | None = None
    weights_moved: float | None = None
    """How far the weights lie from the baseline's, as a share of their size (Euclidean norms)."""
    trainers: Trainers | None = None
    """Evaluators who gave training labels too; None where that was not looked for."""
    suites: dict[str, SuiteReport] = Field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> EvaluationReport:
        """The report of an evaluation's folder, also of the form before suites.

        Raises DataError for a file that holds no report.
        """
        path = folder / EVALUATION
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise DataError(f"not JSON ({error.msg}); make it again with: assent run", path=path) from None
        try:
            return cls.model_validate(values if "suites" in values else _with_suites(values, folder))
        except ValidationError as error:
            raise DataError(f"{first_problem(error, cls)}; make it again with: assent run", path=path) from None

    def write(self, folder: Path) -> None:
        """Write evaluation.json into `folder`."""
        files.write_json(folder / EVALUATION, self.model_dump(mode="json"))

    def measures(self, suite: str) -> Mapping[str, Measure]:
        """What a suite measured; empty where it had nothing to measure."""
        return self.suites[suite].measures if suite in self.suites else {}

    def truth(self) -> dict[str, dict[str, float | None]] | None:
        """Means of the lab's truth before and after; None where it cannot be read."""
        return self.suites["lab"].means() if "lab" in self.suites else None

    def facts(self) -> dict[str, Any]:
        """The numbers that decide, for the manifest."""
        wins = self.win_rate
        compared = (
            {}
            if wins is None
            else {
                "win_rate": _plain(wins.headline),
                "length_controlled": _plain(wins.length_controlled),
                "ties": wins.ties,
                "first_shown": _plain(wins.first_shown),
            }
        )
        return {
            "judge": None if self.judge is None else str(self.judge),
            **compared,
            **({} if self.judge_scores is None else {"judge_change": _plain(self.judge_scores.change)}),
            "kl_per_response": _plain(self.kl_per_response),
            **({} if self.best_of is None else {"best_of": self.best_of.model_dump()}),
            "reward_before": _plain(self.reward_before),
            "reward_after": _plain(self.reward_after),
            "truth": self.truth(),
        }


def read_samples(folder: Path) -> list[dict[str, Any]]:
    """The lines of samples.jsonl: a prompt with both answers and what suites say of them; empty where there is none.

    Raises DataError for a line that is not JSON.
    """
    path = folder / SAMPLES
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except json.JSONDecodeError as error:
            problem = f"not JSON ({error.msg}); make it again with: assent run"
            raise DataError(problem, path=path, line=number) from None
    return rows


def _with_suites(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The form before suites: the judge as prose, the truth as two scorecards, differences in samples.jsonl only."""
    suites: dict[str, SuiteReport] = {}
    truth, wins = values.get("truth"), values.get("win_rate")
    if truth is not None:
        before, after = (_scorecard(truth[side]) for side in ("before", "after"))
        suites["lab"] = SuiteReport(measures=lab.measures_of(before, after, read_samples(folder)))
    if wins is not None:
        wins = WinRate.model_validate(wins)
        suites["winrate"] = SuiteReport(measures=winrate.measures_of(wins))
    said = values.get("judge")
    judge = Judge.named(said) if said else None
    kept = {name: values.get(name) for name in ("kl_per_response", "reward_before", "reward_after")}
    return {"judge": judge, "win_rate": wins, "suites": suites, **kept}


def _scorecard(values: Mapping[str, Any]) -> dict[str, Estimate | None]:
    return {name: Estimate.of(value) for name, value in values.items() if name != "n"}


def _plain(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimate.model_dump()
