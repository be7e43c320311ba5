"""Every command that changes a store or takes data out of it leaves a line in its log; the others only read."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from assent.cli import app
from assent.core.errors import AwaitingJudgments, UserError
from assent.core.types import Rater
from assent.feedback.people.events import Event
from assent.feedback.store import Store
from assent.pipeline.commands.project import make_project
from assent.service import serve

READS = {
    "init": "makes an empty store",
    "demo": "a run of its own, in a store of its own",
    "chat": "knows no store",
    "serve": "knows no store",
    "evaluate": "asks models, knows no store",
    "runs": "reads the folders of runs",
    "clean": "removes artifacts of runs, never judgments",
    "report": "reads the folder of a run",
    "lineage": "reads the folder of a run",
    "export": "copies a model, from the folder of a run",
    "gate": "reads what was found of policies, and writes a dossier",
    "profile new": "writes a file, knows no store",
    "profile show": "writes a page, knows no store",
    "feedback projects": "lists projects",
    "doctor": "looks whether a run could work",
    "version": "knows no store",
    "data inspect": "reads files",
    "store verify": "looks a store through and writes nothing",
}
URL = "sqlite:///feedback.db"


def commands(group: object = None, before: str = "") -> list[str]:
    """All commands, as they are written."""
    found: list[str] = []
    for name, command in (group or typer.main.get_command(app)).commands.items():  # type: ignore[attr-defined]
        whole = f"{before} {name}".strip()
        found += commands(command, whole) if hasattr(command, "commands") else [whole]
    return found


def call(*arguments: str) -> int:
    """Give a command; its exit code."""
    try:
        app(list(arguments), prog_name="assent", standalone_mode=False)
    except typer.Exit as end:
        return int(end.exit_code)
    return 0


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    call("import", "data/ratings.jsonl")
    return tmp_path / "p"


def noted(url: str = URL) -> list[Event]:
    """What commands have left, without who did it; that is the same for all."""
    with Store.open(url) as store:
        events = store.events.find(what="command.")
    assert {event.account for event in events} == {f"os:{pwd.getpwuid(os.getuid()).pw_name}"}
    return [Event(event.what, about=event.about, project=event.project) for event in reversed(events)]


def redteam(_: pytest.MonkeyPatch) -> Event:
    with pytest.raises(AwaitingJudgments):
        call("redteam", "--planted", "persona", "--budget", "260", "--operator", "wrapper", "--ask", "red")
    return Event("command.redteam", about="tasks 3", project="red")


def export(_: pytest.MonkeyPatch) -> Event:
    call("feedback", "export", "--to", "out.jsonl", "--attributes")
    return Event("command.feedback export", about="with attributes", project="imported")


def bring_in(_: pytest.MonkeyPatch) -> Event:
    call("feedback", "import", "data/ratings.jsonl")
    return Event("command.feedback import", about="0", project="imported")


def fix(_: pytest.MonkeyPatch) -> Event:
    call("feedback", "snapshot", "now")
    with Store.open(URL) as store:
        [taken] = store.listing.snapshots("imported")
    return Event("command.feedback snapshot", about=taken.hash, project="imported")


def erase(_: pytest.MonkeyPatch) -> Event:
    with Store.open(URL) as store:
        store.register_rater(Rater(id="anna", kind="person"), now=time.time())
    call("feedback", "erase", "anna", "--yes")
    tombstone = noted()[-1].about
    assert tombstone.startswith("erased-")
    return Event("command.feedback erase", about=tombstone)


def run(_: pytest.MonkeyPatch) -> Event:
    Path("data/demonstrations.jsonl").write_text("no JSON\n", encoding="utf-8")
    with pytest.raises(Exception, match=r"demonstrations\.jsonl"):
        call("run", "--quiet")
    return Event("command.run", about="first")


def rate(monkeypatch: pytest.MonkeyPatch) -> Event:
    monkeypatch.setattr(serve, "run", lambda *_: None)
    Path("more.jsonl").write_text('{"prompt": "Which?", "answers": ["this", "that"]}\n', encoding="utf-8")
    call("rate", "--from", "more.jsonl", "--project", "mine", "--new-admin-link", "--port", "0")
    assert noted()[1:3] == [
        Event("command.rate", about="serves"),
        Event("command.rate", about="tasks 1", project="mine"),
    ]
    return Event("command.rate", about="admin link")


def archive(_: pytest.MonkeyPatch) -> Event:
    call("feedback", "archive", "imported")
    return Event("command.feedback archive", project="imported")


def delete(_: pytest.MonkeyPatch) -> Event:
    call("feedback", "archive", "imported")
    call("feedback", "delete", "imported", "--yes")
    return Event("command.feedback delete", project="imported")


def work(_: pytest.MonkeyPatch) -> Event:
    call("feedback", "work", "--to", "work.csv")
    return Event("command.feedback work")


def criteria(_: pytest.MonkeyPatch) -> Event:
    call("feedback", "criteria", "--to", "criteria.json")
    return Event("command.feedback criteria", project="imported")


def judge(_: pytest.MonkeyPatch) -> Event:
    Path("judge.yaml").write_text(
        "judge: {kind: function, target: builtins:len}\nfrom_store: {project: imported}\n", encoding="utf-8"
    )
    with pytest.raises(Exception, match="len"):
        call("judge", "judge.yaml")
    return Event("command.judge", project="imported")


def arena(_: pytest.MonkeyPatch) -> Event:
    with pytest.raises(Exception, match="no comparison of two named models"):
        call("arena", "--project", "imported")
    return Event("command.arena", project="imported")


def try_principles(_: pytest.MonkeyPatch) -> Event:
    with pytest.raises(Exception, match="nobody has judged these"):
        call("constitution", "check", "hhh", "--project", "imported")
    return Event("command.constitution check", project="imported")


def profile_list(_: pytest.MonkeyPatch) -> Event:
    call("profile", "new", "ja", "--audience", "region=japan")
    call("profile", "list", "--store", "feedback.db")
    return Event("command.profile list")


def profile_that_fails(command: str) -> Event:
    call("profile", "new", "ja", "--audience", "region=japan")
    with pytest.raises(UserError, match="say which policy it starts from"):
        call("profile", command, "ja", "--store", "feedback.db")
    return Event(f"command.profile {command}")


DEEDS: dict[str, Callable[[pytest.MonkeyPatch], Event]] = {
    "run": run,
    "rate": rate,
    "import": lambda _: Event("command.import", about="24", project="imported"),  # the fixture's
    "redteam": redteam,
    "feedback export": export,
    "feedback import": bring_in,
    "feedback snapshot": fix,
    "feedback erase": erase,
    "feedback archive": archive,
    "feedback delete": delete,
    "feedback work": work,
    "feedback criteria": criteria,
    "judge": judge,
    "arena": arena,
    "constitution check": try_principles,
    "profile list": profile_list,
    "profile fit": lambda _: profile_that_fails("fit"),
    "profile publish": lambda _: profile_that_fails("publish"),
}
COPIES = {
    "store copy": ("copy", "feedback.db", "copied.db"),
    "store move": ("move", "feedback.db", "moved.db"),
    "store backup": ("backup", "feedback.db", "--to", "backups"),
}


def test_every_command_is_known_as_leaving_a_line_or_as_reading_only() -> None:
    assert sorted([*DEEDS, *COPIES, *READS]) == sorted(commands())


@pytest.mark.parametrize("command", DEEDS)
def test_a_command_leaves_a_line(command: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = DEEDS[command](monkeypatch)
    assert noted()[-1] == expected and expected.what == f"command.{command}"


@pytest.mark.parametrize("command", COPIES)
def test_a_copy_leaves_a_line_in_both_stores(command: str, project: Path) -> None:
    assert call("store", *COPIES[command]) == 0
    [new] = [*project.glob("copied.db"), *project.glob("moved.db"), *project.glob("backups/*.db")]
    assert noted(f"sqlite:///{new}")[-1] == Event(f"command.{command}")
    if command != "store move":
        assert noted()[-1] == Event(f"command.{command}")


def test_a_store_of_an_older_schema_is_copied_as_it_is_and_that_is_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    with sqlite3.connect("feedback.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0008'")
    assert call("store", "copy", "feedback.db", "copied.db") == 0
    assert "older schema, so this is not in its security log" in capsys.readouterr().err


def test_commands_that_only_read_leave_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = noted()
    call("doctor")
    call("run", "--plan")
    call("store", "verify", "feedback.db")
    call("data", "inspect", "data/ratings.jsonl")
    assert noted() == before
