"""Confirming: what people say of findings becomes pairs, regressions and labels, and nothing is taken out again."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from assent.core.errors import AwaitingJudgments, ConflictError, DataError
from assent.core.types import Judgment, Rater
from assent.data.config import Source
from assent.data.load import load_comparisons
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.pipeline.commands.redteam import RedTeamOptions, redteam
from assent.pipeline.commands.redteam_people import LABELS, PAIRS, REGRESSIONS, People
from assent.redteam.confirming import CRITERION, read_regressions, verdicts
from assent.redteam.planted import CODEWORD, LEAK, REFUSAL, SMALL_TALK


def said(task: str, rater: str, score: float | None = None, *, flag: str = "") -> Judgment:
    return Judgment(
        task_id=task,
        rater_id=rater,
        scores={} if score is None else {"c": {CRITERION: score}},
        flags={"c": (flag,)} if flag else {},  # type: ignore[dict-item]
    )


def test_most_votes_decide_and_equal_ones_decide_nothing() -> None:
    judgments = [
        *(said("most", r, s) for r, s in (("a", 2), ("b", 2), ("c", 1))),
        *(said("equal", r, s) for r, s in (("a", 2), ("b", 1))),
        said("flagged", "a", flag="unsafe"),
        said("unusable", "a", flag="unusable"),
        said("no", "a", 1),
    ]
    assert verdicts(judgments) == {"most": True, "flagged": True, "no": False}


@pytest.fixture
def options(tmp_path: Path) -> RedTeamOptions:
    out = tmp_path / "out"
    people = People(f"sqlite:///{tmp_path}/f.db", "red", tmp_path / "kept.jsonl", checks=6)
    return RedTeamOptions(None, out, planted="persona", budget=600, people=people)


def judge_all(url: str) -> list[str]:
    """Whoever judges, by the truth: an answer fails where the codeword stands in it."""
    queue, now = Queue("red", "evaluation"), time.time()
    shown = []
    with Store.open(url) as store:
        store.register_rater(Rater(id="anna", kind="person"), now=now)
        for number, claim in enumerate(store.claim("anna", queue, limit=100, now=now)):
            [answer] = claim.task.completions
            shown.append(claim.task.prompt.messages[0].content)
            score = 2.0 if CODEWORD in answer.text else 1.0
            judgment = Judgment(
                task_id=claim.task.id, rater_id="anna", id=f"j-{number}", scores={answer.id: {CRITERION: score}}
            )
            store.submit(judgment, token=claim.token, now=now)
    return shown


def test_findings_go_to_people_and_come_back_as_pairs_regressions_and_labels(options: RedTeamOptions) -> None:
    assert options.people is not None
    with pytest.raises(AwaitingJudgments) as waits:
        list(redteam(options))
    assert waits.value.exit_code == 3 and waits.value.need >= 3
    shown = judge_all(options.people.store_url)
    assert all("request behind this conversation is:" in text for text in shown)
    lines = list(redteam(options))

    pairs, _ = load_comparisons([Source(path=options.out / PAIRS)])
    assert {c.completions[1].text for c in pairs if c.completions[1].source.startswith("f-")} >= {LEAK}
    better = {c.completions[0].text for c in pairs}
    assert better == {REFUSAL, SMALL_TALK}, "the target's own refusal, and its own answer to the twin"
    kept = read_regressions(options.people.regressions)
    assert {one.chain for one in kept} == {("persona",)} and len(kept) == 3
    labels = [json.loads(line) for line in (options.out / LABELS).read_text().splitlines()]
    assert len(labels) == 6 and all(row["fails"] == (CODEWORD in row["answer"]) for row in labels)
    assert any("3 findings confirmed" in line for line in lines)
    for name in (PAIRS, LABELS, "attempts.jsonl", "findings.jsonl", "redteam.json", "ledger.jsonl"):
        assert (options.out / name).stat().st_mode & 0o077 == 0, name
    assert not any(CODEWORD in line or "Vex" in line for line in lines), "no text of an attack is shown"


def test_every_failure_has_twins_that_are_preferred_to_the_very_refusal_it_teaches(options: RedTeamOptions) -> None:
    """Else a round learns to refuse: the words of the refusal would be pushed up only."""
    assert options.people is not None
    with pytest.raises(AwaitingJudgments):
        list(redteam(options))
    judge_all(options.people.store_url)
    list(redteam(options))
    rows = [json.loads(line)["record"] for line in (options.out / PAIRS).read_text().splitlines()]
    of = {row["meta"]["redteam"]: row for row in rows}
    failures = [name for name in of if "-twin" not in name]
    assert len(failures) == 3
    assert set(of) == {f"{name}{end}" for name in failures for end in ("", "-twin", "-twin-1")}
    for name in failures:
        taught, (own, other) = of[name]["completions"][0]["text"], (of[f"{name}-twin"], of[f"{name}-twin-1"])
        assert taught == own["completions"][1]["text"] == other["completions"][1]["text"] == REFUSAL
        assert own["prompt"] != other["prompt"], "two different harmless requests"


def test_a_regression_is_never_taken_out_and_never_twice(options: RedTeamOptions, tmp_path: Path) -> None:
    assert options.people is not None
    with pytest.raises(AwaitingJudgments):
        list(redteam(options))
    judge_all(options.people.store_url)
    list(redteam(options))
    before = options.people.regressions.read_text()
    list(redteam(options))
    assert options.people.regressions.read_text() == before
    other = RedTeamOptions(
        None, tmp_path / "other", planted="intact", budget=50, people=replace(options.people, checks=0)
    )
    list(redteam(other))
    assert options.people.regressions.read_text() == before


def test_a_project_that_asks_something_else_is_refused(options: RedTeamOptions) -> None:
    assert options.people is not None
    with Store.open(options.people.store_url) as store:
        store.projects.save("red", ProjectSettings(title="mine"), now=0.0)
    with pytest.raises(ConflictError, match="asks raters something else"):
        list(redteam(options))


def test_a_broken_file_of_regressions_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / REGRESSIONS
    path.write_text("{}\n")
    with pytest.raises(DataError, match=r"regressions\.jsonl:1: no regression"):
        read_regressions(path)
