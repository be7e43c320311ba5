"""The table of work: its sums are those of the judgments in the store, in the period and time zone that were meant."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from full_store import STUDY, Filler, studies
from hypothesis import HealthCheck, given, settings
from store_samples import judgment, people, task
from typer.testing import CliRunner

from assent.cli import app
from assent.core.errors import StoreError
from assent.core.types import Judgment, Rater
from assent.feedback.people.work import COLUMNS, Period, as_csv
from assent.feedback.records.people import Participant
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store


def at(text: str) -> float:
    """A moment in UTC, in seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def worked(store: Store) -> None:
    """Anna judges three tasks, corrects one and skips one; Ben, in Tokyo's project, judges one after midnight there."""
    for rater in [*people("anna", "ben", "=cmd"), Rater(id="robot", kind="simulated")]:
        store.register_rater(rater, now=0)
    tasks = [task(f"t{n}") for n in range(5)]
    store.add_tasks(tasks, slots=9, now=0)
    for n in range(3):
        given = judgment(tasks[n], "anna", f"a{n}", seconds=10.0)
        store.submit(given, now=at("2026-01-30T12:00") + n * 86400)
    store.submit(judgment(tasks[0], "anna", "a0+", seconds=4.0, supersedes="a0"), now=at("2026-01-31T23:59:59"))
    store.submit(
        Judgment(task_id="t3", rater_id="anna", id="s", skip_reason="unclear", seconds=2.5), now=at("2026-02-02")
    )
    store.projects.set_gold("t1", judgment(tasks[1], "x", "x").ranking, now=0)
    store.submit(judgment(tasks[0], "robot", "r"), now=at("2026-01-31T10:00"))
    store.submit(judgment(tasks[0], "=cmd", "f"), now=at("2026-01-31T10:00"))
    store.projects.save("tokyo", ProjectSettings(timezone="Asia/Tokyo", completion_code="DONE-1"), now=0)
    there = task("k", project="tokyo")
    store.add_tasks([there], now=0)
    store.submit(judgment(there, "ben", "k"), now=at("2026-01-31T15:30"))  # half past midnight, 1 February


def table(
    store: Store, first: str = "", last: str = "", project: str | None = None
) -> dict[tuple[str, str], dict[str, str]]:
    """The rows of the CSV by project and rater."""
    content = as_csv(store.accounts.work(project, Period.of(first, last)))
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    return {(row["project"], row["rater_id"]): row for row in rows}


def test_every_rater_of_every_project_has_a_row(store: Store) -> None:
    worked(store)
    rows = table(store)
    assert list(rows) == [("default", "'=cmd"), ("default", "anna"), ("default", "robot"), ("tokyo", "ben")]
    anna = rows["default", "anna"]
    assert [anna[name] for name in ("judgments", "gold", "repeats", "skips")] == ["3", "1", "0", "1"]
    assert (anna["seconds"], anna["skip_seconds"]) == ("24.0", "2.5"), "a corrected judgment counts once"
    assert (anna["first"], anna["last"]) == ("2026-01-31T12:00:00+00:00", "2026-02-02T00:00:00+00:00")
    assert rows["default", "robot"]["kind"] == "simulated"
    assert rows["tokyo", "ben"]["first"] == "2026-02-01T00:30:00+09:00"
    assert list(anna) == list(COLUMNS)


def test_days_are_those_of_the_project_and_both_are_included(store: Store) -> None:
    worked(store)
    assert table(store, "2026-01-31", "2026-01-31")["default", "anna"]["judgments"] == "2"
    assert ("tokyo", "ben") not in table(store, last="2026-01-31")
    assert list(table(store, "2026-02-01", project="tokyo")) == [("tokyo", "ben")]
    assert table(store, "2026-02-02")["default", "anna"]["skips"] == "1"
    assert table(store, "2026-03-01") == {}


def test_crowd_workers_have_their_id_and_the_code(store: Store) -> None:
    worked(store)
    made = store.accounts.invitations.add("rater", project="tokyo", now=0)
    account = store.accounts.participants.enter(made.token, Participant("PROLIFIC_PID", "5f1a", {}), now=0)
    assert account is not None
    other = task("m", project="tokyo")
    store.add_tasks([other], now=0)
    store.submit(judgment(other, account.rater_id, "m"), now=5)
    row = table(store)["tokyo", account.rater_id]
    assert (row["source"], row["participant"], row["completion_code"]) == ("PROLIFIC_PID", "5f1a", "DONE-1")
    assert row["login"].startswith("participant-") and table(store)["tokyo", "ben"]["completion_code"] == ""


def test_who_was_erased_has_no_row(store: Store) -> None:
    worked(store)
    store.erase_rater("anna", now=at("2026-03-01"))
    assert list(table(store)) == [("default", "'=cmd"), ("default", "robot"), ("tokyo", "ben")]


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("yesterday", "", "'yesterday' is no day; write it as 2026-01-31"),
        ("", "9999-12-31", "is no day"),
        ("2026-02-01", "2026-01-01", "comes after the last"),
    ],
)
def test_what_is_no_period_is_refused(first: str, last: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        Period.of(first, last)


def test_the_command_writes_the_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    with Store.open(url) as store:
        worked(store)
    out = tmp_path / "work.csv"
    said = CliRunner().invoke(app, ["feedback", "work", "--store", url, "--last", "2026-01-31", "--to", str(out)])
    assert said.exit_code == 0, said.output
    assert said.output.strip() == f"wrote 3 rows to {out}: 4 judgments and 0 skips"
    assert out.read_bytes().startswith(b"\xef\xbb\xbfproject,rater_id,kind,login,")
    shown = CliRunner().invoke(app, ["feedback", "work", "--store", url, "--project", "tokyo"])
    assert shown.output.splitlines()[1].startswith("tokyo,ben,person,")
    wrong = CliRunner().invoke(app, ["feedback", "work", "--store", url, "--project", "nowhere"])
    assert wrong.exit_code != 0


_COUNTS = """
SELECT rater_id, sum(outcome IN ('ranked', 'marked')), sum(outcome = 'skipped'),
       round(sum(CASE WHEN outcome = 'skipped' THEN 0 ELSE coalesce(seconds, 0) END), 3)
FROM judgment WHERE id NOT IN (SELECT supersedes FROM judgment WHERE supersedes IS NOT NULL) GROUP BY rater_id"""


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(study=studies())
def test_sums_are_those_of_the_judgments_in_the_store(tmp_path_factory: pytest.TempPathFactory, study: dict) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("work") / "store.db"
    with Store.open(f"sqlite:///{path}", seed=study["seed"]) as store:
        Filler(store, study).fill()
        found = store.accounts.work(STUDY, Period())
    with closing(sqlite3.connect(path)) as connection:
        counted = {row[0]: tuple(row[1:]) for row in connection.execute(_COUNTS)}
    assert {one.rater_id: (one.judgments, one.skips, round(one.seconds, 3)) for one in found} == counted
