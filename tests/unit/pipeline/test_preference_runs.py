"""Whole runs of the preference family: flags and scores reach KTO, soft labels say their source, rounds go on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.jsonl import read_records
from assent.core.types import Comparison, Completion, Judgment, Marked, Prompt, Ranking, Task
from assent.data.task_records import TaskRecord
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.imported import IMPORTED
from assent.pipeline.run import run_project

STORE = "sqlite:///feedback.db"
QUESTIONS = [f"What should {who} know about {what}?" for what in ("bread", "wine", "eggs") for who in ("I", "a cook")]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    Path("few_words.py").write_text(
        "def score(prompts, completions):\n    return [-float(len(text)) for text in completions]\n", encoding="utf-8"
    )
    rows = ({"prompt": question, "chosen": "Much.", "rejected": "Nothing."} for question in QUESTIONS)
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(optimize: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """result.json of a run of a tiny base."""
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}], "eval_share": 0.0},
        "optimize": {"batch_size": 4, "optimizer": {"learning_rate": 0.01}, **optimize},
        "evaluate": None,
        "reward": None,
        "store": {"url": STORE},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
        **settings,
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    list(run_project(Path("assent.yaml"), (), (), quiet=True))
    return dict(json.loads(Path("runs/toy/result.json").read_text(encoding="utf-8")))


def imported() -> None:
    """Two tasks of a single answer, scored and flagged, a pair that one rater only flagged and another ranked."""
    bread, wine = Prompt.of("Bread?"), Prompt.of("Wine?")
    alone = Completion(prompt_id=bread.id, text="Flour.", id="alone")
    pair = tuple(Completion(prompt_id=wine.id, text=text, id=text) for text in ("Red.", "White."))

    def said(task: str, rater: str, **what: Any) -> Judgment:
        return Judgment(task_id=task, rater_id=rater, id=f"{task}-{rater}", **what)

    scored = said("t1", "ann", scores={"alone": {"helpful": 5.0}})
    remark = said("t1", "bob", critique="Who knows?")
    marked = said("t2", "ann", flags={"Red.": ("unsafe",)})
    ranked = said("t2", "bob", ranking=Ranking(tiers=(("Red.",), ("White.",))))
    records = [
        TaskRecord(task=Task(id="t1", prompt=bread, completions=(alone,), kind="rate"), judgments=(scored, remark)),
        TaskRecord(task=Task(id="t2", prompt=wine, completions=pair), judgments=(marked, ranked)),
    ]
    with Store.open(STORE) as store:
        store.import_comparisons(records, IMPORTED, rater_kind="person", now=time.time())


def artifact(kind: str) -> Path:
    """The newest folder of a kind."""
    return max(Path("runs/artifacts").glob(f"{kind}-*"), key=lambda p: p.stat().st_mtime_ns)


def test_kto_learns_from_rankings_scores_and_flags_and_says_what_says_nothing() -> None:
    imported()
    run({"kind": "kto"})
    judgments = artifact("judgments")
    marks = read_records(judgments / "marks.jsonl", Marked)
    assert sorted((m.prompt.text, len(m.completions), len(m.judgments)) for m in marks) == [
        ("Bread?", 1, 2),
        ("Wine?", 2, 1),
    ]
    found = json.loads((artifact("policy") / "manifest.json").read_text())["notes"]
    # Six pairs of the file, one imported ranking: 7 good and 7 bad words; one score, one flag; the remark says nothing.
    # The flag and the ranking are of two rows of t2, so each says its own.
    assert found["labels_by_rankings"] == 14 and found["labels_by_scores"] == 1 and found["labels_by_flags"] == 1
    assert (found["good"], found["bad"], found["silent_judgments"]) == (8, 8, 1)

    run({"kind": "dpo"})  # the same store without marks: another method asks for none
    assert not (artifact("judgments") / "marks.jsonl").exists()


def test_soft_labels_by_shares_say_so_where_no_rater_model_is_there() -> None:
    run({"kind": "dpo", "labels": "soft"})
    found = json.loads((artifact("policy") / "manifest.json").read_text())["notes"]
    assert found["labels_from"] == "shares" and found["soft_pairs"] == 6
    assert found["mean_chance"] == pytest.approx(2 / 3, abs=1e-4)  # one vote each, by Laplace's rule


@pytest.mark.parametrize("weighed", [{"labels": "soft"}, {"weights": "raters"}])
def test_the_rater_model_of_the_round_is_used_where_there_is_one(weighed: dict[str, str]) -> None:
    run({"kind": "dpo", **weighed}, reward={"epochs": 1, "batch_size": 4})
    found = json.loads((artifact("policy") / "manifest.json").read_text())["notes"]
    assert found.get("labels_from", "rater model") == "rater model"
    assert found["comparisons"] == 6


def test_iterative_dpo_is_two_rounds_and_the_second_learns_from_both() -> None:
    found = run(
        {"kind": "dpo"},
        rounds=2,
        sample={"prompts": 3, "answers": 2, "sampling": {"max_new_tokens": 6}},
        collect={"raters": {"kind": "function", "target": "few_words:score"}},
    )
    assert len(found["rounds"]) == 2
    policies = sorted(Path("runs/artifacts").glob("policy-*"), key=lambda p: p.stat().st_mtime_ns)
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in policies]
    assert manifests[-1]["inputs"]["start"] == manifests[-2]["key"]
    learned = [
        len(read_records(p / "comparisons.jsonl", Comparison)) for p in Path("runs/artifacts").glob("judgments-*")
    ]
    assert sorted(learned) == [9, 12]
