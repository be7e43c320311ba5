"""The JSON API: everything the service does, for programs, below /api/v1.

A program sends `Authorization: Bearer assent_…`; the token's role says what it may do. The description in OpenAPI is at
/api/v1/openapi.json; `assent.client` speaks it from Python. Errors are {"error": {"what": …, "do": …}}.
"""

from __future__ import annotations

from typing import Any

from fastapi import Security
from fastapi.security import HTTPBearer

from assent.web.api import accounts, files, judgments, people, programs, projects, studies, tasks
from assent.web.api.models import Error, Me
from assent.web.auth import GuardedRouter, Rater
from assent.web.context import Context

BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token from /admin or POST /api/v1/tokens; it begins assent_."
)
_MEANINGS = {
    400: "The request cannot be read.",
    401: "No token, or one that is not valid any more.",
    403: "The token's role or projects do not reach this far.",
    404: "There is no such thing.",
    405: "Not with this method.",
    409: "The store says something else already: a lease of another, a newer judgment.",
    413: "More than may be sent at once.",
    415: "The body is of another kind.",
    422: "The request does not fit; it says where.",
    429: "Too many attempts.",
    503: "The store is busy; try again.",
}
_BODY = {"application/json": {"schema": {"$ref": f"#/components/schemas/{Error.__name__}"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "content": _BODY} for status, meaning in _MEANINGS.items()
}
"""What every route may answer, by reference: FastAPI would build a model anew for each status of each route."""
_NAMED: dict[int | str, dict[str, Any]] = {400: {"description": _MEANINGS[400], "model": Error}}
"""One route names the model, so that the description holds it."""


def router(context: Context) -> GuardedRouter:
    """All routes below /api/v1."""
    routes = GuardedRouter(prefix="/api/v1", responses=ERRORS, dependencies=[Security(BEARER)])

    @routes.get("/me", tags=["accounts"], response_model=Me, responses=_NAMED)
    def who_am_i(person: Rater) -> Any:
        """For whom the token acts, in which role."""
        return Me(rater_id=person.rater_id, login=person.login, role=person.role, projects=person.account.projects)

    for part in (projects, studies, tasks, judgments, people, accounts, files, programs):
        part.add_routes(routes, context)
    return routes
