"""The frame of the admin pages: what all of them share, from their look to the watch over judgments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Path, Request
from starlette.responses import HTMLResponse, RedirectResponse

from assent.core.errors import UserError
from assent.core.types import Task
from assent.feedback.dashboard import Watch
from assent.feedback.records.queue import Project
from assent.feedback.store import Store
from assent.web.admin import numbers
from assent.web.context import Context
from assent.web.refusals import Refusal

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
"""The number of an invitation, token or webhook in an address."""
DONE = "admin.done."
"""Keys of the sentences that a page may say after something was done."""
COUNTED = ("n", "changed", "aside", "gold")
"""Numbers that such a sentence may name."""


@dataclass(frozen=True)
class Frame:
    """What admin pages do with the context."""

    context: Context

    @property
    def watch(self) -> Watch:
        """The watch over every project's judgments."""
        return self.context.watch

    @property
    def store(self) -> Store:
        """The store."""
        return self.context.store

    def project(self, name: str) -> Project:
        """A project by name. Raises Refusal 404."""
        found = next((p for p in self.store.projects.all() if p.name == name), None)
        if found is None:
            raise Refusal(404, f"there is no project {name!r}", "choose one from the list")
        return found

    def task(self, project: Project, task_id: str, *, listed: str) -> Task:
        """A task of a project; `listed` names the list to choose from. Raises Refusal 404."""
        found = self.store.tasks([task_id]).get(task_id) if task_id and "\x00" not in task_id else None
        if found is None or found.project != project.name:
            raise Refusal(404, f"there is no task {task_id[:80]!r} in this project", f"choose one from {listed}")
        return found

    def page(
        self,
        request: Request,
        template: str,
        *,
        tab: str,
        project: Project | None = None,
        problem: UserError | str = "",
        **values: Any,
    ) -> HTMLResponse:
        """A page in this frame; with a `problem` it says so and is answered as 422."""
        language = self.context.language(request)
        done, given = request.query_params.get("done", ""), request.query_params
        said = ""
        if done.isidentifier() and self.context.catalogs.text("en", DONE + done) != DONE + done and not problem:
            said = self.context.catalogs.text(
                language, DONE + done, **{k: given.get(k, "") if given.get(k, "").isdecimal() else "" for k in COUNTED}
            )
        known = {"tab": tab, "project": project, "problem": str(problem), "said": said, "n": numbers}
        known["zone"] = None if project is None else project.settings.timezone
        return self.context.page(request, template, status=422 if problem else 200, **(known | values))

    def text(self, request: Request, key: str, **values: object) -> str:
        """A text in the reader's language."""
        return self.context.catalogs.text(self.context.language(request), key, **values)


def project_path(name: str, page: str = "") -> str:
    """The path of a project's page."""
    return f"/admin/projects/{quote(name, safe='')}" + (f"/{page}" if page else "")


def done(path: str, what: str, *, n: int | None = None, **query: str) -> RedirectResponse:
    """Go on to a page that says what was done; a reload does not do it again."""
    values = {**query, "done": what, **({} if n is None else {"n": str(n)})}
    return RedirectResponse(f"{path}?{urlencode(values)}", 303)
