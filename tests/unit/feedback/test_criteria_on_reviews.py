"""Scores by criterion on real reviews, and how often intervals hold the truth: `benchmarks/criteria.py` in small."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from assent.feedback.quality.agreement import krippendorff_alpha
from assent.feedback.quality.criteria import scored
from assent.stats.independent import wilson

ROOT = Path(__file__).parents[3]
REVIEWS = Path(os.environ.get("ASSENT_DATA", ROOT.parent / "shared" / "data")) / "squality_human_eval"


@pytest.fixture(scope="module")
def benchmark_of_criteria() -> ModuleType:
    spec = importlib.util.spec_from_file_location("criteria_benchmark", ROOT / "benchmarks" / "criteria.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not REVIEWS.exists(), reason=f"the reviews of SQuALITY are not in {REVIEWS}; set ASSENT_DATA")
def test_reviews_of_summaries(benchmark_of_criteria: ModuleType) -> None:
    """Against plain sums over the file: means of means, alpha from its table of coincidences, everything counted."""
    found = scored(benchmark_of_criteria.reviews(REVIEWS), benchmark_of_criteria.REVIEWED)
    with gzip.open(REVIEWS / "human_eval.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    given: dict[str, list[list[float]]] = defaultdict(list)
    for row in rows:
        for system in ("bart", "bart-dpr", "human"):
            given[system].append([review["correctness-rating"] for review in row[system]["reviews"]])
    assert found is not None and (found.raters, found.judgments, found.choices) == (4, 240, 720)
    correctness = found.criteria[0]
    assert (correctness.scored, correctness.missing, correctness.off_scale) == (720, 0, 0)
    for system, units in given.items():
        slow = sum(sum(unit) / len(unit) for unit in units) / len(units)
        assert correctness.means[system].estimate == pytest.approx(slow), system
    everything = [unit for units in given.values() for unit in units]
    assert correctness.alpha is not None and correctness.alpha.estimate == pytest.approx(krippendorff_alpha(everything))
    assert all(one.weight is not None and one.weight.low > 0 for one in found.criteria), "both are rewarded"


def test_intervals_hold_the_truth(benchmark_of_criteria: ModuleType) -> None:
    """A judge that flatters one model and 25 labelled prompts of 125, in 80 worlds: never surely below 93 %."""
    found = benchmark_of_criteria.simulated(80, 125, 3)
    assert found.keys() >= {"mean of new, corrected", "wins of new, corrected", "new - old", "weight of helpful"}
    for name, share in found.items():
        assert wilson(round(80 * share), 80).high >= 0.93, (name, share)
