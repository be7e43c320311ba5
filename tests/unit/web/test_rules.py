"""Every route with every identity: strangers, raters, adjudicators and admins, in browsers and as programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import APIRouter
from rating_visitors import House
from starlette.testclient import TestClient

from assent.feedback.records.people import ROLES, Role
from assent.feedback.records.settings import ProjectSettings
from assent.web.rules import PROJECT_PAGES, RULES, STRICTEST, Rule, routes_of, rule_of

ENDING = {"POST /sign-out", "POST /me/sign-out-everywhere", "POST /me/erase"}
"""Routes after which the session that asked is over."""
FILLED = {"project": "mine", "name": "mine", "task_id:path": "mine-0", "rater_id:path": "r-1", "rater_id": "r-1"}
OF_A_TASK = {"/api/v1/tasks/{task_id:path}", "/api/v1/tasks/{task_id:path}/state"}
"""Routes whose project is that of a task."""
_PLACE = re.compile(r"\{([^}]*)\}")


@dataclass
class Identity:
    """Somebody who asks: a role, the project they are in (None: all), in a browser or as a program."""

    role: Role
    projects: tuple[str, ...] | None
    is_program: bool
    client: TestClient
    csrf: str = ""

    def ask(self, method: str, path: str) -> Any:
        """Ask with everything in order but what is sent."""
        headers = {} if self.is_program else {"x-csrf-token": self.csrf}
        return self.client.request(method, path, headers=headers, follow_redirects=False)

    def refusal(self, rule: Rule, declared: str) -> str:
        """What the rule says to them: why they are refused, or nothing."""
        if self.is_program and not rule.programs:
            return "this page is for people in a browser"
        if rule.who == "anyone":
            return ""
        if ROLES.index(self.role) > ROLES.index(rule.who):
            return f"this is for the role {rule.who}"
        is_bound = declared in OF_A_TASK or "{project}" in declared or declared.startswith(PROJECT_PAGES)
        if is_bound and self.role != "admin" and self.projects is not None and "mine" not in self.projects:
            return "you are not in the project"
        return ""


@pytest.fixture
def full(house: House) -> House:
    """A service with two projects."""
    for name in ("mine", "other"):
        house.store.projects.save(name, ProjectSettings(), now=house.clock())
        house.add_tasks(2, project=name)
    return house


def _identity(house: House, role: Role, projects: tuple[str, ...] | None, *, is_program: bool) -> Identity:
    if is_program:
        login = "-".join(["program", role, *(projects or ("all",))])
        account = house.store.accounts.create(login, role, projects=projects, now=house.clock())
        token = house.store.accounts.tokens.add(account.rater_id, "t", now=house.clock()).token
        headers = {"authorization": f"Bearer {token}"}
        return Identity(role, projects, True, TestClient(house.app, raise_server_exceptions=False, headers=headers))
    visitor = house.person(role, projects=projects)
    return Identity(role, projects, False, visitor.client, visitor.csrf)


def _everybody(house: House) -> Iterator[Identity]:
    for is_program in (False, True):
        for role in ROLES:
            for projects in (None, ("mine",), ("other",)):
                yield _identity(house, role, projects, is_program=is_program)


def _routes(house: House) -> list[tuple[str, str, str]]:
    """Method, declared path, and the path with its places filled, of every route."""
    found = []
    for method, declared in routes_of(house.app):
        if method != "HEAD":
            found.append((method, declared, _PLACE.sub(lambda place: FILLED.get(place[1], "999"), declared)))
    return found


def test_every_route_has_a_rule_and_every_rule_a_route(house: House) -> None:
    declared = {f"{method} {path}" for method, path, _ in _routes(house)}
    assert sorted(declared - set(RULES)) == [], "add a row to assent/web/rules.py: who may use it, and programs too?"
    assert sorted(set(RULES) - declared) == [], "no such route"
    assert len(declared) > 100


@pytest.mark.slow
def test_every_identity_reaches_what_its_rule_says_and_nothing_else(full: House) -> None:
    everybody, wrong = list(_everybody(full)), []
    for method, declared, path in _routes(full):
        rule = rule_of(method, declared)
        for one in everybody:
            asking = one
            if f"{method} {declared}" in ENDING and not one.is_program:
                asking = _identity(full, one.role, one.projects, is_program=False)
            response, expected = asking.ask(method, path), one.refusal(rule, declared)
            status, said = response.status_code, response.text[:200]
            if expected:
                is_right = status == 403 and expected in said
            else:
                is_right = status < 500 and "this is for the role" not in said and "not in the project" not in said
                is_right &= status != 401 or declared == "/sign-in"
            if not is_right:
                wrong.append((one.role, one.projects, one.is_program, method, declared, status, said))
    assert not wrong


def test_strangers_reach_the_doors_only(full: House) -> None:
    stranger, wrong = full.visitor(), []
    for method, declared, path in _routes(full):
        status = stranger.client.request(method, path, follow_redirects=False).status_code
        is_door = rule_of(method, declared).who == "anyone"
        if (status == 401) == is_door or status >= 500:
            wrong.append((method, declared, status))
    assert not wrong


def test_every_route_that_changes_something_wants_a_value_of_our_pages(full: House) -> None:
    admin, unguarded = full.person("admin"), []
    for method, declared, path in _routes(full):
        if method != "GET" and admin.client.request(method, path, json={}).status_code != 403:
            unguarded.append(f"{method} {declared}")
    assert not unguarded


def test_a_route_without_a_rule_is_for_admins_in_a_browser(house: House) -> None:
    routes = APIRouter()

    @routes.get("/new/thing")
    def thing() -> str:
        return "seen"

    house.app.include_router(routes)
    assert rule_of("GET", "/new/thing") == STRICTEST
    statuses = [house.person(role).client.get("/new/thing").status_code for role in ("admin", "adjudicator", "rater")]
    assert statuses == [200, 403, 403]
    assert house.program("admin").get("/new/thing").status_code == 403
    assert house.visitor().client.get("/new/thing").status_code == 401


@pytest.mark.parametrize("role", ["rater", "adjudicator"])
def test_who_was_invited_to_one_project_sees_nothing_of_another(full: House, role: Role) -> None:
    """Also where the project is not in the path, but that of a task."""
    for is_program in (False, True):
        one = _identity(full, role, ("other",), is_program=is_program)
        names = [project["name"] for project in one.client.get("/api/v1/projects").json()]
        assert names == ["other"]
        assert one.client.get("/api/v1/tasks/mine-0").status_code == 403
        assert one.client.get("/rating/next", params={"project": "mine"}).status_code == 403
        decision = {"task_id": "mine-0", "ranking": None, "reason": "no"}
        headers = {"x-csrf-token": one.csrf}
        assert one.client.post("/api/v1/adjudications", json=decision, headers=headers).status_code == 403
        full.clock.now += 1
    visitor = full.person(role, projects=("other",))
    assert "mine" not in re.sub(r"<head>.*?</head>", "", visitor.page("/"), flags=re.DOTALL)
    if role == "adjudicator":
        page = visitor.page("/admin/projects")
        assert "/admin/projects/other" in page and "/admin/projects/mine" not in page
