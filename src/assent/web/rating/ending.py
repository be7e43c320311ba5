"""When a person's part in a project is over, and what they take along: a completion code, an address to go on to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assent.feedback.records.queue import Participation
from assent.feedback.records.settings import ProjectSettings


@dataclass(frozen=True)
class Ending:
    """Why it is over. Code and address are empty where the project has none, or the person is not to have them."""

    why: Literal["limit", "nothing", "unqualified"]
    code: str = ""
    url: str = ""


def ending(settings: ProjectSettings, part: Participation, *, is_empty: bool) -> Ending | None:
    """How a person's part ends, None while it goes on. `is_empty`: there is nothing that they could do now.

    Where nothing is left before anything was done, it is not over: tasks may come.
    """
    if part.is_passed is False:
        return Ending("unqualified")
    if part.left == 0:
        return Ending("limit", settings.completion_code, settings.completion_url)
    is_study = part.left is not None or settings.completion_code or settings.completion_url
    if is_empty and is_study and part.done > 0 and part.to_qualify == 0:
        return Ending("nothing", settings.completion_code, settings.completion_url)
    return None
