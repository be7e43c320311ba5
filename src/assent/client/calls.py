"""Every call of the rating service as a method, typed; those about people are in `people.py`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2

from assent.client.people import PeopleCalls
from assent.client.wire import Wire, quoted
from assent.core.errors import UserError
from assent.core.files import write_bytes
from assent.core.types import Purpose, Ranking, Task
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.records.webhooks import Event
from assent.web.api.file_models import ImportOut, LossOut
from assent.web.api.models import (
    AdjudicationOut,
    Claimed,
    ClaimedTasks,
    DeliveryOut,
    GoldOut,
    GuidelineOut,
    JudgmentOut,
    JudgmentPage,
    Me,
    ProgressOut,
    ProjectOut,
    ReceiptOut,
    SnapshotOut,
    TaskPage,
    WebhookMade,
    WebhookOut,
)
from assent.web.api.study_models import ContentsOut, TasksAdded

_ENDINGS = (".jsonl.gz", ".jsonl", ".json", ".parquet")
Tiers = Ranking | Sequence[Sequence[str]]


class Client(PeopleCalls):
    """The service at a URL, as the token lets it be used. Use as a context manager, or close it."""

    def __init__(
        self, url: str, token: str, *, timeout: float = 60.0, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._wire = Wire(url, token, timeout=timeout, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def me(self) -> Me:
        """For whom the token acts, in which role."""
        return self._wire.one(Me, "GET", "/me")

    # Projects

    def projects(self) -> list[ProjectOut]:
        """All projects that the token may see."""
        return self._wire.all(ProjectOut, "/projects")

    def project(self, name: str) -> ProjectOut:
        """A project with its settings and newest guideline."""
        return self._wire.one(ProjectOut, "GET", _project(name))

    def save_project(self, name: str, settings: ProjectSettings | Mapping[str, Any]) -> ProjectOut:
        """Make a project, or replace all its settings."""
        return self._wire.one(ProjectOut, "PUT", _project(name), json=_plain(settings))

    def change_project(self, name: str, *, archived: bool | None = None, **settings: Any) -> ProjectOut:
        """Change some settings of a project, archive it, or take it out of the archive."""
        body = {"settings": settings, "archived": archived}
        return self._wire.one(ProjectOut, "PATCH", _project(name), json=body, repeat=True)

    def contents(self, project: str) -> ContentsOut:
        """What is in a project, and goes where it is deleted."""
        return self._wire.one(ContentsOut, "GET", _project(project, "contents"))

    def delete_project(self, name: str) -> ContentsOut:
        """Delete an archived project with everything in it, for good; says what it was."""
        return self._wire.one(ContentsOut, "DELETE", _project(name), params={"name": name})

    def guidelines(self, project: str) -> list[GuidelineOut]:
        """All versions of what raters are told, oldest first."""
        return self._wire.all(GuidelineOut, _project(project, "guidelines"))

    def publish_guideline(self, project: str, text: str) -> GuidelineOut:
        """Tell raters something new."""
        return self._wire.one(GuidelineOut, "POST", _project(project, "guidelines"), json={"text": text}, repeat=True)

    def progress(self, project: str, purpose: Purpose = "reward") -> ProgressOut:
        """How many judgments are in, of how many."""
        return self._wire.one(ProgressOut, "GET", _project(project, "progress"), params={"purpose": purpose})

    def statistics(self, project: str, purpose: Purpose = "reward") -> dict[str, Any]:
        """What the dashboard shows."""
        return dict(self._wire.ask("GET", _project(project, "statistics"), params={"purpose": purpose}).json())

    # Tasks

    def add_tasks(
        self,
        project: str,
        tasks: Iterable[Task | Mapping[str, Any]],
        *,
        slots: int | None = None,
        priority: float = 0.0,
        replace: bool = False,
    ) -> TasksAdded:
        """Queue tasks, all or none: Tasks, or {prompt, answers, id?, kind?, purpose?}; the same again adds nothing."""
        body = {"tasks": [_task(one) for one in tasks], "slots": slots, "priority": priority, "replace": replace}
        return self._wire.one(TasksAdded, "POST", _project(project, "tasks"), json=body, repeat=True)

    def tasks(self, project: str, purpose: Purpose = "reward") -> Iterator[Task]:
        """All tasks of a queue, by id."""
        return self._wire.pages(TaskPage, _project(project, "tasks"), purpose=purpose)

    def task(self, task_id: str) -> Task:
        """A task with its prompt and answers."""
        return self._wire.one(Task, "GET", f"/tasks/{quoted(task_id)}")

    def set_priorities(self, project: str, priorities: Mapping[str, float]) -> int:
        """Say which tasks come first, higher first; returns how many are known."""
        body = {"priorities": dict(priorities)}
        return int(self._wire.ask("PUT", _project(project, "priorities"), json=body).json()["changed"])

    # Judging

    def claim(
        self, project: str, *, limit: int = 1, purpose: Purpose = "reward", rater_id: str | None = None
    ) -> tuple[Claimed, ...]:
        """Borrow tasks; those held already come first. `rater_id`: for a registered rater, with an admin's token."""
        body = {"purpose": purpose, "limit": limit, "rater_id": rater_id}
        return self._wire.one(ClaimedTasks, "POST", _project(project, "claim"), json=body, repeat=True).items

    def submit(
        self,
        task: Claimed | str,
        ranking: Tiers | None = None,
        *,
        id: str | None = None,
        rater_id: str | None = None,
        **said: Any,
    ) -> ReceiptOut:
        """Hand in a judgment: tiers of answer ids, best first, ties together, and flags, scores, critique, … as `said`.

        Without a ranking or anything else it is a skip. `id` is a UUID, made here unless given.
        """
        task_id, token = (task, "") if isinstance(task, str) else (task.task_id, task.token)
        body: dict[str, Any] = {
            "id": id or str(uuid.uuid4()),
            "task_id": task_id,
            "token": token,
            "ranking": _order(ranking),
            "rater_id": rater_id,
            **said,
        }
        return self._wire.one(ReceiptOut, "POST", "/judgments", json=body, repeat=True)

    def renew(self, task: Claimed, *, rater_id: str | None = None) -> float:
        """Keep a task longer; when its lease ends now."""
        body = {"token": task.token, "rater_id": rater_id}
        return float(self._wire.ask("POST", "/leases/renew", json=body, repeat=True).json()["expires_at"])

    def release(self) -> int:
        """Give back everything that is held and not judged."""
        return int(self._wire.ask("POST", "/leases/release", repeat=True).json()["released"])

    def judgments(
        self, project: str, purpose: Purpose = "reward", *, superseded: bool = False
    ) -> Iterator[JudgmentOut]:
        """All judgments of a queue, in the order they were kept."""
        path = _project(project, "judgments")
        return self._wire.pages(JudgmentPage, path, purpose=purpose, superseded=superseded)

    def new_judgments(
        self,
        project: str,
        cursor: str | None = None,
        purpose: Purpose = "reward",
        *,
        superseded: bool = False,
        erased: bool = False,
    ) -> JudgmentPage:
        """What was kept since `cursor`, all of it; keep `next` for the next time. Every judgment comes exactly once."""
        params = {"purpose": purpose, "superseded": superseded, "erased": erased}
        return self._wire.rest(JudgmentPage, _project(project, "judgments"), cursor, **params)

    # Quality

    def gold(self, project: str) -> list[GoldOut]:
        """Tasks with known answers."""
        return self._wire.all(GoldOut, _project(project, "gold"))

    def set_gold(self, task_id: str, ranking: Tiers, *, note: str = "") -> GoldOut:
        """Say what the right answer of a task is."""
        return self._wire.one(
            GoldOut, "PUT", f"/tasks/{quoted(task_id)}/gold", json={"ranking": _order(ranking), "note": note}
        )

    def remove_gold(self, task_id: str) -> bool:
        """Make a task an ordinary one again; whether it was gold."""
        return self._wire.remove(f"/tasks/{quoted(task_id)}/gold")

    def adjudications(self, project: str) -> list[AdjudicationOut]:
        """Decisions where raters disagreed, oldest first."""
        return self._wire.all(AdjudicationOut, _project(project, "adjudications"))

    def adjudicate(self, task_id: str, ranking: Tiers | None, reason: str) -> AdjudicationOut:
        """Decide a task; None: it has no answer."""
        body = {"task_id": task_id, "ranking": _order(ranking), "reason": reason}
        return self._wire.one(AdjudicationOut, "POST", "/adjudications", json=body)

    # Files

    def snapshots(self, project: str) -> list[SnapshotOut]:
        """Fixed sets of judgments, oldest first."""
        return self._wire.all(SnapshotOut, _project(project, "snapshots"))

    def take_snapshot(self, project: str, name: str, purpose: Purpose = "reward") -> SnapshotOut:
        """Fix what has been said so far; a name that is taken gives the same snapshot back."""
        body = {"name": name, "purpose": purpose}
        return self._wire.one(SnapshotOut, "POST", _project(project, "snapshots"), json=body, repeat=True)

    def export(
        self,
        project: str,
        format: str,
        path: Path,
        *,
        purpose: Purpose = "reward",
        snapshot: str | None = None,
        attributes: bool = False,
    ) -> LossOut:
        """Download everything said in a queue to a file, whose ending says how, and return what the format lost."""
        params = {"purpose": purpose, "ending": _ending(path), "attributes": attributes}
        if snapshot is not None:
            params["snapshot"] = snapshot
        response = self._wire.ask("GET", _project(project, f"exports/{quoted(format)}"), params=params)
        write_bytes(path, response.content)
        return LossOut.model_validate_json(response.headers["assent-loss-report"])

    def losses(self, project: str, format: str, purpose: Purpose = "reward") -> LossOut:
        """What an export in this format would lose."""
        path = _project(project, f"exports/{quoted(format)}/losses")
        return self._wire.one(LossOut, "GET", path, params={"purpose": purpose})

    def import_file(self, project: str, path: Path, *, format: str = "auto", purpose: Purpose = "reward") -> ImportOut:
        """Bring in rankings that exist already, all or nothing; the same file again adds nothing."""
        params = {"purpose": purpose, "format": format, "ending": _ending(path)}
        content, kind = path.read_bytes(), {"Content-Type": "application/octet-stream"}
        path_there = _project(project, "imports")
        return self._wire.one(ImportOut, "POST", path_there, params=params, content=content, headers=kind, repeat=True)

    # Webhooks

    def webhooks(self) -> list[WebhookOut]:
        """All webhooks, oldest first."""
        return self._wire.all(WebhookOut, "/webhooks")

    def add_webhook(self, url: str, event: Event, **wanted: Any) -> WebhookMade:
        """Tell an address when something happens: project, purpose, threshold. See `verify`."""
        return self._wire.one(WebhookMade, "POST", "/webhooks", json={"url": url, "event": event, **wanted})

    def remove_webhook(self, number: int) -> bool:
        """Delete a webhook with its messages; whether there was one."""
        return self._wire.remove(f"/webhooks/{number}")

    def deliveries(self, number: int) -> list[DeliveryOut]:
        """The last messages of a webhook and what became of them."""
        return self._wire.all(DeliveryOut, f"/webhooks/{number}/deliveries")


def _order(ranking: Tiers | None) -> dict[str, Any] | None:
    if ranking is None or isinstance(ranking, Ranking):
        return None if ranking is None else ranking.model_dump()
    return {"tiers": [list(tier) for tier in ranking]}


def _task(task: Task | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(task, Task):
        return dict(task)
    return {
        "id": task.id,
        "kind": task.kind,
        "purpose": task.purpose,
        "prompt": [turn.model_dump(mode="json") for turn in task.prompt.messages],
        "tools": list(task.prompt.tools),
        "prompt_id": task.prompt.id,
        "prompt_meta": task.prompt.meta,
        "answers": [answer.model_dump(mode="json", exclude={"prompt_id"}) for answer in task.completions],
    }


def _plain(settings: ProjectSettings | Mapping[str, Any]) -> dict[str, Any]:
    return settings.model_dump(mode="json") if isinstance(settings, ProjectSettings) else dict(settings)


def _project(name: str, below: str = "") -> str:
    return f"/projects/{quoted(name)}" + (f"/{below}" if below else "")


def _ending(path: Path) -> str:
    ending = next((ending for ending in _ENDINGS if path.name.endswith(ending)), None)
    if ending is None:
        raise UserError(f"{path.name} has an unknown ending; choose {', '.join(_ENDINGS)}")
    return ending
