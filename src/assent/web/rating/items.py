"""Tasks as the rating page gets them: rendered, in the order shown, without a sign of where answers come from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from assent.core.hashing import hash_json
from assent.core.shown import shown
from assent.core.types import said_in
from assent.feedback.quality.words import count_words
from assent.feedback.records.queue import Project, Served
from assent.feedback.records.settings import Texts
from assent.web.render.markup import Budget, as_written, render
from assent.web.render.turns import turns_html

HIDDEN = {
    "overlap_share",
    "overlap",
    "newcomer_tasks",
    "newcomer_overlap",
    "gold_share",
    "repeat_share",
    "repeat_after",
    "set_aside_after",
    "participant_parameters",
    "judgments_per_person",
    "completion_code",
    "completion_url",
    "qualification_tasks",
    "qualification_pass",
    "goal",
    "random_share",
    "cost_per_hour",
    "currency",
}
"""Settings that are none of a rater's business: who knows what is gold or a repeat rates it otherwise."""


def item(served: Served, texts: Texts) -> dict[str, Any]:
    """A task for a rater, its texts formatted or not. Letters are given by the page, by place.

    `content` names what is shown: under the same id there may be other texts once it was replaced.
    """
    answers = {completion.id: completion.text for completion in served.task.completions}
    judgment, render = served.judgment, Budget().render
    return {
        "task_id": served.task.id,
        "token": served.token,
        "expires_at": served.expires_at,
        "content": hash_json([said_in(served.task.prompt), answers])[:16],
        "kind": served.task.kind,
        "prompt": [asdict(turn) for turn in turns_html(shown(served.task.prompt), texts, render)],
        "answers": [
            {
                "id": i,
                "html": render(answers[i], how=texts),
                "written": as_written(answers[i]),
                "text": answers[i],
                "words": count_words(answers[i]),
            }
            for i in served.order
        ],
        "guideline_version": served.guideline_version,
        "judgment": None if judgment is None else judgment.model_dump(mode="json", exclude={"rater_id"}),
    }


def project_facts(project: Project) -> dict[str, Any]:
    """What the page needs to know about a project."""
    guideline = project.guideline
    shown = None if guideline is None else {"version": guideline.version, "html": render(guideline.text)}
    return {"name": project.name, **project.settings.model_dump(mode="json", exclude=HIDDEN), "guideline": shown}
