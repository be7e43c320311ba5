"""The chat page: a rater talks with two models without knowing which, and rates each turn."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, model_validator
from starlette.responses import Response

from assent.core.types import Purpose
from assent.feedback.conversations import BlindTalk, Choice
from assent.feedback.records.asked import Asked
from assent.feedback.records.queue import Project, Queue, Viewing
from assent.web.auth import GuardedRouter, Person, Rater
from assent.web.bodies import Body
from assent.web.context import Context
from assent.web.rating.talks import Talks, TalkVote
from assent.web.rating.tasks import project_of
from assent.web.refusals import Refusal
from assent.web.render.markup import render

LONGEST_MESSAGE = 20_000
STRINGS = ("chat.", "links.", "rate.answer", "rate.strength.")
"""Keys of the texts that the script uses."""
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class Saying(Body):
    """A message of the rater. The first one begins the conversation, whose id the page makes up."""

    conversation: Uuid
    turn: int = Field(ge=1)
    text: str = Field(min_length=1, max_length=LONGEST_MESSAGE)
    purpose: Purpose = "reward"


class Voting(Body):
    """What the rater says of a turn; `first` and `second` are the answers as they were shown."""

    conversation: Uuid
    turn: int = Field(ge=1)
    judgment: Uuid
    choice: Choice
    strength: int | None = Field(default=None, ge=1, le=4)
    critique: str | None = Field(default=None, max_length=20_000)
    seconds: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False)
    activity: dict[str, Any] = Field(default_factory=dict)
    translated: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> Voting:
        if len(json.dumps(self.activity)) > 20_000:
            raise ValueError("activity is larger than 20,000 characters")
        return self


class Naming(Body):
    """Which conversation is meant."""

    conversation: Uuid


def router(context: Context) -> GuardedRouter:
    """The routes."""
    routes = GuardedRouter(prefix="/chat/{project}", tags=["chat"])
    talks = Talks(context)
    _talking(routes, context, talks)
    _rating(routes, context, talks)
    return routes


def _talking(routes: APIRouter, context: Context, talks: Talks) -> None:
    conversations = context.store.conversations

    @routes.get("", include_in_schema=False)
    def page(request: Request, person: Rater, project: str, purpose: Purpose = "reward") -> Response:
        return shell(context, talks, request, person, project_of(context, person, project), purpose)

    @routes.get("/state")
    def where(person: Rater, project: str, conversation: Uuid) -> dict[str, Any]:
        """How a conversation stands."""
        return state(talks, own(context, person, project, conversation))

    @routes.post("/say")
    def say(person: Rater, project: str, saying: Saying) -> dict[str, Any]:
        """Say something; the answers come with a later `state`."""
        found = project_of(context, person, project)
        if not found.settings.is_open:
            raise Refusal(409, "the project is closed at the moment", "come back later")
        part = context.store.participation(person.rater_id, Queue(project, saying.purpose))
        if part.left == 0 or part.is_passed is False or part.to_qualify:
            raise Refusal(409, "there is nothing for you to do in this project now", "go to its rating page")
        if not saying.text.strip():
            raise Refusal(422, "the message is empty", "write something")
        known = conversations.get(saying.conversation, person.rater_id)
        if known is not None and (known.project, known.purpose) != (project, saying.purpose):
            raise Refusal(404, "there is no such conversation in this project", "reload the page")
        talk = talks.say(
            saying.text,
            to=saying.conversation,
            turn=saying.turn,
            rater_id=person.rater_id,
            project=project,
            purpose=saying.purpose,
        )
        return state(talks, talk)

    @routes.post("/again")
    def again(person: Rater, project: str, naming: Naming) -> dict[str, Any]:
        """Ask the models again after they failed."""
        return state(talks, talks.ask_again(own(context, person, project, naming.conversation)))


def _rating(routes: APIRouter, context: Context, talks: Talks) -> None:
    @routes.post("/vote")
    def vote(request: Request, person: Rater, project: str, voting: Voting) -> dict[str, Any]:
        """Rate the turn that is on."""
        found = project_of(context, person, project)
        talk = own(context, person, project, voting.conversation)
        check_vote(talk, voting)
        unasked, never = unasked_of(context, found, talk, voting)
        kept = voting.model_copy(update=dict.fromkeys(never))
        voted = talks.vote(talk, vote_of(context, request, kept))
        return {**state(talks, voted), "no_longer_asked": unasked}

    @routes.post("/end")
    def end(person: Rater, project: str, naming: Naming) -> dict[str, Any]:
        """End the conversation and learn who spoke."""
        return state(talks, talks.end(own(context, person, project, naming.conversation)))


def shell(
    context: Context, talks: Talks, request: Request, person: Person, project: Project, purpose: Purpose
) -> Response:
    """The page, with the conversation that the rater has not ended."""
    lang, settings = context.language(request), project.settings
    last = context.store.conversations.latest(person.rater_id, project.name, purpose)
    boot: dict[str, Any] = {
        "rater": person.rater_id,
        "project": project.name,
        "purpose": purpose,
        "lang": lang,
        "dir": context.catalogs.direction(lang),
        "strengths": settings.strengths,
        "critique": settings.critique,
        "talk": None if last is None else state(talks, last),
        "t": context.catalogs.below(lang, *STRINGS),
    }
    is_possible = settings.is_open and len(context.speakers) >= (2 if purpose == "evaluation" else 1)
    known: dict[str, Any] = {
        "project": project,
        "purpose": purpose,
        "is_possible": is_possible,
        "longest": LONGEST_MESSAGE,
    }
    return context.page(request, "chat.html", boot=boot, **known)


def unasked_of(context: Context, project: Project, talk: BlindTalk, voting: Voting) -> tuple[list[str], list[str]]:
    """What a vote says that the project does not ask any more, and what of it was not asked of this turn at all.

    The page may have been opened before the settings changed: what it asked is no reason to refuse the vote.
    """
    said = {"strength": voting.strength is not None, "critique": bool((voting.critique or "").strip())}
    now, names = Asked.of(project.settings), {"strength": "strengths", "critique": "critique"}
    left = [field for field, is_said in said.items() if is_said and not getattr(now, names[field])]
    task_id = talk.turn.task_id if left and talk.turns else None
    own = None if task_id is None else context.store.own(talk.rater_id, task_id)
    forms = () if own is None else own.asked
    never = [] if forms is None else [f for f in left if not any(getattr(form, names[f]) for form in forms)]
    return [names[field] for field in left], never


def check_vote(talk: BlindTalk, voting: Voting) -> None:
    """Raise Refusal for a vote on another turn, or one that says how much better where nothing is."""
    if len(talk.turns) != voting.turn:
        raise Refusal(409, f"the conversation is at turn {len(talk.turns)}, not {voting.turn}", "reload the page")
    is_preferred = voting.choice in ("first", "second")
    if voting.strength is not None and not is_preferred:
        raise Refusal(422, "how much better is said of an answer that is better", "leave the strength out")


def vote_of(context: Context, request: Request, voting: Voting) -> TalkVote:
    """The vote with how the rater saw the turn."""
    viewing = Viewing(
        locale=context.language(request),
        client=request.headers.get("user-agent", "")[:200] or None,
        is_translated=voting.translated,
        activity=voting.activity,
    )
    return TalkVote(voting.judgment, voting.choice, voting.strength, voting.critique, voting.seconds, viewing)


def own(context: Context, person: Person, project: str, conversation: str) -> BlindTalk:
    """The rater's own conversation. Raises Refusal 404 for any other."""
    project_of(context, person, project)
    talk = context.store.conversations.get(conversation, person.rater_id)
    if talk is None or talk.project != project:
        raise Refusal(404, "there is no such conversation of yours in this project", "reload the page")
    return talk


def state(talks: Talks, talk: BlindTalk) -> dict[str, Any]:
    """A conversation for its rater: no model is named, nor can one be told from another, before it has ended."""
    is_over = talk.phase == "ended"
    phase = "failed" if talk.is_silent(talks.context.now()) else talk.phase
    answers = talks.answers(talk) if phase == "rating" else ()
    sources = talks.sources(talk) if is_over else []
    project = talks.context.store.projects.get(talk.project)
    texts = "markdown" if project is None else project.settings.texts
    return {
        "conversation": talk.id,
        "phase": phase,
        "turn": len(talk.turns),
        "messages": [{"role": m.role, "html": render(m.content, how=texts)} for m in talk.messages],
        "answers": [{"id": answer.id, "html": render(answer.text, how=texts)} for answer in answers],
        "turns": [
            {
                "choice": turn.choice,
                "place": turn.shown.index(turn.chosen) if turn.chosen else None,
                "drawn": turn.is_drawn,
                "void": turn.is_void and turn.choice is not None,
                "models": list(sources[n]) if is_over else [],
            }
            for n, turn in enumerate(talk.turns)
        ],
    }
