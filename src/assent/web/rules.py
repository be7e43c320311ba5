"""The rules: every route with who may use it, whether programs may too, and what the security log says of it.

One table, read by the guard in front of every route. A new route gets a row here; without one it is for admins in a
browser only, and a test fails. A route with a project in its path is closed to whoever is not in that
project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import FastAPI
from starlette.routing import Route

from assent.feedback.records.people import Role

Who = Literal["anyone"] | Role
PROJECT_PAGES = "/admin/projects/{name}"
"""Where `name` in a path is that of a project; elsewhere a project is called `project`."""


@dataclass(frozen=True)
class Rule:
    """Who may use a route. `anyone`: also who is not signed in."""

    who: Who
    programs: bool = False
    """May an API token speak for them? Routes of pages are for browsers."""
    log: str = ""
    """What the security log says when it was done; empty: nothing."""
    about: str = ""
    """The part of the path, field of the form or of the JSON that names what it was done to."""


STRICTEST = Rule("admin")
"""For a route that has no row."""
RULES: Mapping[str, Rule] = {
    "GET /api/v1/openapi.json": Rule("anyone", programs=True),
    "GET /": Rule("anyone"),
    "GET /sign-in": Rule("anyone"),
    "POST /sign-in": Rule("anyone", log="sign_in.wrong"),
    "POST /sign-in/link": Rule("anyone", log="sign_in.link_asked"),
    "GET /sign-in/provider": Rule("anyone"),
    "GET /sign-in/provider/callback": Rule("anyone"),
    "POST /sign-out": Rule("anyone"),
    "GET /enter/{token}": Rule("anyone"),
    "POST /enter/{token}": Rule("anyone", log="sign_in.link"),
    "GET /join/{token}": Rule("anyone"),
    "POST /join/{token}": Rule("anyone", log="sign_in.joined"),
    "POST /language": Rule("anyone"),
    "GET /me": Rule("rater"),
    "POST /me/profile": Rule("rater"),
    "POST /me/password": Rule("rater", log="account.password"),
    "POST /me/second-factor/new": Rule("rater"),
    "POST /me/second-factor": Rule("rater", log="account.second_factor"),
    "POST /me/second-factor/end": Rule("rater", log="account.second_factor_ended"),
    "POST /me/identities/new": Rule("rater"),
    "POST /me/identities/end": Rule("rater", log="account.identity_ended"),
    "POST /me/sessions/{session}/end": Rule("rater", log="sign_out.session"),
    "POST /me/tokens/{number}/end": Rule("rater", log="token.ended", about="number"),
    "POST /me/sign-out-everywhere": Rule("rater", log="sign_out.everywhere"),
    "POST /me/erase": Rule("rater", log="account.erased"),
    "GET /rate/{project}": Rule("rater"),
    "GET /guidelines/{project}": Rule("rater"),
    "GET /rating/next": Rule("rater", programs=True),
    "POST /rating/renew": Rule("rater", programs=True),
    "POST /rating/release": Rule("rater", programs=True),
    "POST /rating/leave": Rule("rater", programs=True),
    "POST /rating/submit": Rule("rater", programs=True),
    "GET /rating/recent": Rule("rater", programs=True),
    "GET /chat/{project}": Rule("rater"),
    "GET /chat/{project}/state": Rule("rater", programs=True),
    "POST /chat/{project}/say": Rule("rater", programs=True),
    "POST /chat/{project}/again": Rule("rater", programs=True),
    "POST /chat/{project}/vote": Rule("rater", programs=True),
    "POST /chat/{project}/end": Rule("rater", programs=True),
    "GET /admin": Rule("adjudicator"),
    "GET /admin/projects": Rule("adjudicator"),
    "POST /admin/projects": Rule("admin", log="project.made", about="name"),
    "GET /admin/projects/{name}": Rule("adjudicator"),
    "GET /admin/projects/{name}/dashboard.json": Rule("adjudicator"),
    "GET /admin/projects/{name}/arena": Rule("adjudicator"),
    "GET /admin/projects/{name}/disagreements": Rule("adjudicator"),
    "GET /admin/projects/{name}/adjudicate": Rule("adjudicator"),
    "POST /admin/projects/{name}/adjudicate": Rule("adjudicator", log="task.decided", about="task"),
    "GET /admin/projects/{name}/task": Rule("adjudicator"),
    "POST /admin/projects/{name}/task": Rule("admin", log="task.changed", about="task"),
    "POST /admin/projects/{name}/open": Rule("admin", log="project.settings"),
    "GET /admin/projects/{name}/settings": Rule("admin"),
    "POST /admin/projects/{name}/settings": Rule("admin", log="project.settings"),
    "GET /admin/projects/{name}/guidelines": Rule("admin"),
    "POST /admin/projects/{name}/guidelines": Rule("admin", log="project.guideline"),
    "GET /admin/projects/{name}/tasks": Rule("admin"),
    "POST /admin/projects/{name}/tasks": Rule("admin", log="task.added"),
    "POST /admin/projects/{name}/priorities": Rule("admin", log="task.priorities"),
    "POST /admin/projects/{name}/rankings": Rule("admin", log="judgment.imported"),
    "POST /admin/projects/{name}/gold": Rule("admin", log="task.gold", about="task"),
    "GET /admin/projects/{name}/export": Rule("admin"),
    "GET /admin/projects/{name}/export/file": Rule("admin", log="judgment.exported"),
    "GET /admin/work.csv": Rule("admin", log="rater.exported"),
    "POST /admin/projects/{name}/archive": Rule("admin", log="project.archived"),
    "GET /admin/projects/{name}/delete": Rule("admin"),
    "POST /admin/projects/{name}/delete": Rule("admin", log="project.deleted"),
    "GET /admin/people": Rule("admin"),
    "POST /admin/people/invite": Rule("admin", log="invitation.made", about="role"),
    "POST /admin/invitations/{invitation_id}/revoke": Rule("admin", log="invitation.ended", about="invitation_id"),
    "GET /admin/person": Rule("admin"),
    "POST /admin/person/change": Rule("admin", log="account.changed", about="id"),
    "POST /admin/person/disable": Rule("admin", log="account.disabled", about="id"),
    "POST /admin/person/link": Rule("admin", log="link.made", about="id"),
    "POST /admin/person/credential": Rule("admin", log="account.credential", about="id"),
    "POST /admin/person/email": Rule("admin", log="account.email", about="id"),
    "POST /admin/person/erase": Rule("admin", log="account.erased", about="id"),
    "GET /admin/tokens": Rule("admin"),
    "POST /admin/tokens": Rule("admin", log="token.made", about="account"),
    "POST /admin/tokens/{token_id}/revoke": Rule("admin", log="token.ended", about="token_id"),
    "GET /admin/webhooks": Rule("admin"),
    "POST /admin/webhooks": Rule("admin", log="webhook.made", about="event"),
    "POST /admin/webhooks/{webhook_id}/remove": Rule("admin", log="webhook.removed", about="webhook_id"),
    "GET /admin/log": Rule("admin"),
    "POST /admin/log": Rule("admin", log="log.kept_for", about="days"),
    "GET /admin/log/file": Rule("admin", log="log.exported"),
    "GET /api/v1/me": Rule("rater", programs=True),
    "GET /api/v1/projects": Rule("rater", programs=True),
    "GET /api/v1/projects/{project}": Rule("rater", programs=True),
    "PUT /api/v1/projects/{project}": Rule("admin", programs=True, log="project.settings"),
    "PATCH /api/v1/projects/{project}": Rule("admin", programs=True, log="project.settings"),
    "DELETE /api/v1/projects/{project}": Rule("admin", programs=True, log="project.deleted"),
    "GET /api/v1/projects/{project}/contents": Rule("admin", programs=True),
    "GET /api/v1/projects/{project}/guidelines": Rule("rater", programs=True),
    "POST /api/v1/projects/{project}/guidelines": Rule("admin", programs=True, log="project.guideline"),
    "GET /api/v1/projects/{project}/progress": Rule("adjudicator", programs=True),
    "GET /api/v1/projects/{project}/statistics": Rule("adjudicator", programs=True),
    "GET /api/v1/projects/{project}/gold": Rule("adjudicator", programs=True),
    "PUT /api/v1/tasks/{task_id:path}/gold": Rule("admin", programs=True, log="task.gold", about="task_id"),
    "DELETE /api/v1/tasks/{task_id:path}/gold": Rule("admin", programs=True, log="task.gold_removed", about="task_id"),
    "GET /api/v1/projects/{project}/adjudications": Rule("adjudicator", programs=True),
    "POST /api/v1/adjudications": Rule("adjudicator", programs=True, log="task.decided", about="task_id"),
    "GET /api/v1/projects/{project}/snapshots": Rule("admin", programs=True),
    "POST /api/v1/projects/{project}/snapshots": Rule("admin", programs=True, log="project.snapshot"),
    "GET /api/v1/projects/{project}/tasks": Rule("adjudicator", programs=True),
    "POST /api/v1/projects/{project}/tasks": Rule("admin", programs=True, log="task.added"),
    "PUT /api/v1/projects/{project}/priorities": Rule("admin", programs=True, log="task.priorities"),
    "PATCH /api/v1/projects/{project}/tasks": Rule("admin", programs=True, log="task.changed"),
    "GET /api/v1/projects/{project}/task-states": Rule("adjudicator", programs=True),
    "GET /api/v1/tasks/{task_id:path}/state": Rule("adjudicator", programs=True),
    "PATCH /api/v1/tasks/{task_id:path}": Rule("admin", programs=True, log="task.changed", about="task_id"),
    "GET /api/v1/projects/{project}/participants": Rule("admin", programs=True),
    "GET /api/v1/projects/{project}/work": Rule("admin", programs=True, log="rater.exported"),
    "GET /api/v1/work": Rule("admin", programs=True, log="rater.exported"),
    "PUT /api/v1/projects/{project}/qualifications/{rater_id}": Rule(
        "admin", programs=True, log="rater.qualified", about="rater_id"
    ),
    "GET /api/v1/groups": Rule("admin", programs=True),
    "PUT /api/v1/groups/{name}": Rule("admin", programs=True, log="rater.group", about="name"),
    "GET /api/v1/tasks/{task_id:path}": Rule("adjudicator", programs=True),
    "POST /api/v1/projects/{project}/claim": Rule("rater", programs=True),
    "POST /api/v1/leases/renew": Rule("rater", programs=True),
    "POST /api/v1/leases/release": Rule("rater", programs=True),
    "POST /api/v1/judgments": Rule("rater", programs=True),
    "GET /api/v1/projects/{project}/judgments": Rule("adjudicator", programs=True),
    "GET /api/v1/raters": Rule("admin", programs=True),
    "POST /api/v1/raters": Rule("admin", programs=True, log="rater.registered", about="id"),
    "GET /api/v1/raters/{rater_id:path}": Rule("rater", programs=True),
    "PUT /api/v1/raters/{rater_id:path}/attributes": Rule(
        "rater", programs=True, log="rater.attributes", about="rater_id"
    ),
    "DELETE /api/v1/raters/{rater_id:path}": Rule("admin", programs=True, log="account.erased", about="rater_id"),
    "GET /api/v1/invitations": Rule("admin", programs=True),
    "POST /api/v1/invitations": Rule("admin", programs=True, log="invitation.made", about="role"),
    "DELETE /api/v1/invitations/{number}": Rule("admin", programs=True, log="invitation.ended", about="number"),
    "GET /api/v1/accounts": Rule("admin", programs=True),
    "PATCH /api/v1/accounts/{rater_id}": Rule("admin", programs=True, log="account.changed", about="rater_id"),
    "POST /api/v1/accounts/{rater_id}/link": Rule("admin", programs=True, log="link.made", about="rater_id"),
    "GET /api/v1/formats": Rule("admin", programs=True),
    "GET /api/v1/projects/{project}/exports/{format}": Rule(
        "admin", programs=True, log="judgment.exported", about="format"
    ),
    "GET /api/v1/projects/{project}/exports/{format}/losses": Rule("admin", programs=True),
    "POST /api/v1/projects/{project}/imports": Rule("admin", programs=True, log="judgment.imported"),
    "GET /api/v1/tokens": Rule("rater", programs=True),
    "POST /api/v1/tokens": Rule("rater", programs=True, log="token.made", about="rater_id"),
    "DELETE /api/v1/tokens/{number}": Rule("rater", programs=True, log="token.ended", about="number"),
    "GET /api/v1/webhooks": Rule("admin", programs=True),
    "POST /api/v1/webhooks": Rule("admin", programs=True, log="webhook.made", about="event"),
    "DELETE /api/v1/webhooks/{number}": Rule("admin", programs=True, log="webhook.removed", about="number"),
    "GET /api/v1/webhooks/{number}/deliveries": Rule("admin", programs=True),
    "GET /api/v1/events": Rule("admin", programs=True),
}


def rule_of(method: str, path: str) -> Rule:
    """The rule of a route, by the path it is declared with."""
    return RULES.get(f"{'GET' if method == 'HEAD' else method} {path}", STRICTEST)


def project_in(path: str, values: Mapping[str, Any]) -> str | None:
    """The project that is named in the path of a request, by the path its route is declared with."""
    found = values.get("name" if path.startswith(PROJECT_PAGES) else "project")
    return None if found is None else str(found)


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route of an app."""
    for route in app.routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in sorted(route.methods or ()))
