"""Deleting a project over HTTP and at the command line: it asks first, says what goes, and writes to the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from rating_visitors import House
from typer.testing import CliRunner

from assent.cli.feedback import app
from assent.core.errors import ConflictError, StoreError, UserError
from assent.feedback.store import Store

PAGE = "/admin/projects/default"


@pytest.fixture
def filled(house: House) -> House:
    """A service with the projects `default`, of three tasks and one judgment, and `other`."""
    house.add_tasks(3)
    house.add_tasks(1, project="other")
    rater = house.person()
    (item,) = rater.next()
    body = {"id": "j-1", "task_id": item["task_id"], "token": item["token"], "skip_reason": "unsure"}
    assert rater.post("/rating/submit", body).status_code == 200
    return house


def _names(house: House) -> list[str]:
    return [project.name for project in house.store.projects.all()]


def test_the_page_says_what_goes_and_wants_the_name(filled: House) -> None:
    admin = filled.person("admin")
    assert "Archive the project first" in admin.page(f"{PAGE}/delete")
    assert "is not archived" in admin.send_form(f"{PAGE}/delete", again="default").text
    admin.send_form(f"{PAGE}/archive", is_archived="yes")
    assert 'href="delete"' in admin.page(f"{PAGE}/settings")
    page = admin.page(f"{PAGE}/delete")
    assert "Tasks: 3" in page and "Judgments: 1" in page and "Type default to confirm" in page
    for wrong in ("", "other", "Default"):
        refused = admin.send_form(f"{PAGE}/delete", again=wrong)
        assert refused.status_code == 422 and "is not the name of this project" in refused.text
    assert _names(filled) == ["default", "other"]
    gone = admin.send_form(f"{PAGE}/delete", again=" default ")
    assert gone.headers["location"] == "/admin/projects?done=deleted&n=3"
    assert "Tasks that went with it: 3." in admin.page(gone.headers["location"])
    assert _names(filled) == ["other"]
    (event,) = filled.store.events.find(what="project.deleted")
    assert (event.account, event.project) == (admin.account.rater_id, "default")


def test_a_program_of_an_admin_deletes_with_the_name_said_twice(filled: House) -> None:
    program, url = filled.program("admin"), "/api/v1/projects/default"
    assert program.get(f"{url}/contents").json()["tasks"] == 3
    assert program.delete(url, params={"name": "default"}).status_code == 409
    program.patch(url, json={"archived": True})
    for params in ({}, {"name": "other"}):
        refused = program.delete(url, params=params)
        assert refused.status_code == 422 and refused.json()["error"]["do"] == "repeat the project's name to delete it"
    assert filled.program("adjudicator").delete(url, params={"name": "default"}).status_code == 403
    assert program.delete(url, params={"name": "default"}).json()["judgments"] == 1
    assert program.get(url).status_code == 404
    assert filled.store.events.find(what="project.deleted")[0].program is not None


def test_the_command_asks_for_the_name_unless_told_not_to(filled: House, tmp_path: Path) -> None:
    def run(*words: str, typed: str = "") -> tuple[str, BaseException | None]:
        found = CliRunner().invoke(app, [*words, "--store", str(tmp_path / "feedback.db")], input=typed)
        return found.output, found.exception

    assert isinstance(run("delete", "default", "--yes")[1], ConflictError)
    assert isinstance(run("delete", "nowhere", "--yes")[1], StoreError)
    assert run("archive", "default")[0] == "project default is archived\n"
    for typed in ("", "y\n", "other\n"):
        said, error = run("delete", "default", typed=typed)
        assert "project default holds 3 tasks, 1 judgment" in said
        assert isinstance(error, UserError) and "nothing was deleted" in str(error)
    assert _names(filled) == ["default", "other"]
    said, error = run("delete", "default", typed="default\n")
    assert error is None and "deleted: project default with 3 tasks, 1 judgment" in said
    run("archive", "other")
    assert run("archive", "other", "--back")[0] == "project other is out of the archive\n"
    run("archive", "other")
    assert run("delete", "other", "--yes")[1] is None
    with Store.open(f"sqlite:///{tmp_path}/feedback.db") as store:
        assert store.projects.all() == []
        assert [e.project for e in store.events.find(what="command.feedback delete")] == ["other", "default"]
