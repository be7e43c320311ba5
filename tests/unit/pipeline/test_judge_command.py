"""`assent judge` as people use it: a file, labels, a record, and a run that knows its judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assent.artifacts.outside import identity_of
from assent.cli import app
from assent.core.errors import AssentError
from assent.evaluation.validation.record import JudgeRecord
from assent.pipeline.commands.judge import judge_file, open_judge
from assent.pipeline.known_judges import known_judge


def call(*arguments: str) -> int:
    return int(app(list(arguments), prog_name="assent", standalone_mode=False) or 0)


FUNCTION = """
import re
def best(prompts, texts):
    return [float(re.search(r"[0-9]+", t).group()) if re.search(r"[0-9]+", t) else 0.0 for t in texts]
def worst(prompts, texts):
    return [-s for s in best(prompts, texts)]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "judge_by_number.py").write_text(FUNCTION, encoding="utf-8")
    rows = [
        {
            "prompt": "question " + "x" * n,
            "answers": ["I give 9 points", "I give 1 points"],
            "ranking": [1, 2],
            "rater": f"r{n % 3}",
        }
        for n in range(60)
    ]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name in ("best", "worst"):
        (tmp_path / f"{name}.yaml").write_text(
            f"judge: {{kind: function, target: 'judge_by_number:{name}'}}\nlabels: [{{path: labels.jsonl}}]\n",
            encoding="utf-8",
        )
    return tmp_path


def test_a_judge_above_the_bar_ends_with_0_and_one_below_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("judge", "best.yaml", "--to", "records/best") == 0
    said = capsys.readouterr().out
    assert "agrees with votes 1.000" in said and "above the bar" in said and "only 60 anchors" in said
    assert call("judge", "worst.yaml", "--to", "records/worst") == 1
    assert "refused for gates" in capsys.readouterr().out
    assert not JudgeRecord.read(folder / "records" / "worst").passes


def test_a_record_is_known_again_and_another_judge_is_refused(folder: Path) -> None:
    call("judge", "best.yaml", "--to", "records/best")
    best, worst = (judge_file(folder / f"{name}.yaml") for name in ("best", "worst"))
    known = known_judge(folder / "records/best", best.judge, open_judge(best.judge, None))  # type: ignore[arg-type]
    assert known.agreement is not None and known.agreement.estimate == 1
    assert known.drift is not None and known.drift.estimate == 0
    with pytest.raises(AssentError, match="other settings, another model or another rubric"):
        known_judge(folder / "records/best", worst.judge, open_judge(worst.judge, None))  # type: ignore[arg-type]
    assert identity_of(best.judge) != identity_of(worst.judge)


@pytest.mark.parametrize(
    "text, said",
    [
        ("judge: {kind: people}\nlabels: [{path: labels.jsonl}]", "a judge is an autorater"),
        ("judge: {kind: function, target: 'judge_by_number:best'}", "no labels"),
        ("judge: {kind: function, target: 'judge_by_number:best'}\nlabels: [{path: none.jsonl}]", "no such file"),
        ("judge: {kind: function, target: 'judge_by_number:best'}\nfrom_store: {project: p}", "there is no store"),
        ("judge: {kind: function, target: 'nowhere:best'}\nlabels: [{path: labels.jsonl}]", "nowhere"),
    ],
)
def test_what_cannot_be_validated_is_one_line(folder: Path, text: str, said: str) -> None:
    (folder / "j.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(AssentError, match=said) as error:
        call("judge", "j.yaml")
    assert "\n" not in str(error.value) and not (folder / "judge").exists()
