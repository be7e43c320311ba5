"""Conversations with two blind models: what was said goes to the models, their answers to the rater, both at once.

A thread waits for the models, so no request is held up by a slow one; where the talk stands is in the store, so that
any server process can tell. Who speaks stays here until the conversation is over.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from assent.core import seeds
from assent.core.errors import AssentError, ConflictError, StoreError
from assent.core.hashing import hash_json, short
from assent.core.types import Completion, Judgment, Message, Prompt, Purpose, Ranking, Task, storable
from assent.feedback.conversations import BlindTalk, Choice, Turn
from assent.feedback.records.queue import Viewing
from assent.web.context import Context

LOG = logging.getLogger("assent.web")
BEAT_SECONDS = 10.0
MOST_TURNS = 50
MOST_ASKING = 32
"""Raters for whom models are asked at once, by each server process; the last one waits for all before."""
_SIGNS = re.compile(r"[\W_]+")
_SAYS_WHO = "(?:i am|i m|im|my name is|my name s|call me|called|known as|ich bin|ich heisse|je suis|soy|me llamo)"
_SHORTEST_NAME, _LONG_NAME = 4, 8


@dataclass(frozen=True)
class TalkVote:
    """What a rater says of a turn, and how they came to it."""

    id: str
    choice: Choice
    strength: int | None = None
    critique: str | None = None
    seconds: float | None = None
    viewing: Viewing | None = None


@dataclass
class Talks:
    """The conversations that this server holds."""

    context: Context
    _mouths: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    """One at a time asks a model."""
    _asking: Counter[str] = field(default_factory=Counter)
    """Raters for whom models are asked or wait to be asked here, also for conversations that ended meanwhile."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, said: str, *, to: str, turn: int, rater_id: str, project: str, purpose: Purpose) -> BlindTalk:
        """Say something in a conversation, begun where it is new. Saying the same again changes nothing.

        Raises ConflictError where it is not the rater's turn to speak, StoreError where there are too few models.
        """
        store, now = self.context.store, self.context.now()
        old = store.conversations.get(to, rater_id)
        if old is not None and len(old.turns) == turn and old.turn.said == said:
            return old
        if old is None:
            if turn != 1:
                raise ConflictError(f"conversation {to!r} is not known; reload the page")
            self._refuse_second(rater_id, to)
            models = self._draw(purpose, seed := secrets.randbits(62))
            made = BlindTalk(
                id=to, project=project, rater_id=rater_id, purpose=purpose, models=models, seed=seed, speaking=models
            )
            made = made.model_copy(update={"turns": (Turn(said=said),), "alive_at": now})
            talk = store.conversations.begin(made, now=now)
        else:
            if old.phase != "ready" or turn != len(old.turns) + 1:
                raise ConflictError(f"conversation {to!r} is not at turn {turn}; reload the page")
            if turn > MOST_TURNS:
                raise ConflictError(f"a conversation has at most {MOST_TURNS} turns; end this one and begin another")
            self._refuse_second(rater_id, to)
            turns = (*old.turns, Turn(said=said))
            talk = store.conversations.save(
                old.model_copy(update={"turns": turns, "phase": "waiting", "alive_at": now}), now=now
            )
        self._listen(talk)
        return talk

    def ask_again(self, talk: BlindTalk) -> BlindTalk:
        """Ask the models once more after they failed, or after the server that waited for them went away."""
        now = self.context.now()
        if talk.phase != "failed" and not talk.is_silent(now):
            raise ConflictError("the models are not waited for in vain; reload the page")
        self._refuse_second(talk.rater_id, talk.id, most=2)  # the first may have hung
        again = talk.with_turn(attempt=talk.turn.attempt + 1)
        again = again.model_copy(update={"phase": "waiting", "alive_at": now})
        again = self.context.store.conversations.save(again, now=now)
        self._listen(again)
        return again

    def vote(self, talk: BlindTalk, vote: TalkVote) -> BlindTalk:
        """Keep what the rater says of the turn; the better answer goes on, on a tie one drawn by lot.

        A battle is over with that. Voting the same again changes nothing. Raises ConflictError for another vote.
        """
        if talk.turns and talk.turn.choice is not None:
            if talk.turn.choice == vote.choice:
                return talk
            raise ConflictError("this turn was rated already; reload the page")
        task_id = talk.turn.task_id if talk.phase == "rating" else None
        if task_id is None:
            raise ConflictError("there is nothing to rate in this conversation now; reload the page")
        store, now, turn = self.context.store, self.context.now(), talk.turn
        # The server may have gone down right after it kept the vote; then what was said counts, not what is said now.
        own = store.own(talk.rater_id, task_id)
        choice = vote.choice
        if own is not None and own.judgment is not None:
            choice = _choice(own.judgment, turn.shown)
        else:
            store.submit(_judgment(talk, vote), token=turn.token, now=now, viewing=vote.viewing)
        is_drawn = choice in ("tie", "bad")
        place = 0 if choice == "first" else 1
        if is_drawn:
            place = int(seeds.stream(talk.seed, "goes on", len(talk.turns)).integers(2))
        task = store.tasks([task_id])[task_id]
        chosen = next(c for c in task.completions if c.id == turn.shown[place])
        rated = talk.with_turn(choice=choice, chosen=chosen.id, answer=chosen.text, is_drawn=is_drawn)
        phase = "ended" if talk.purpose == "evaluation" else "ready"
        speaking = (chosen.source, chosen.source)
        return store.conversations.save(rated.model_copy(update={"phase": phase, "speaking": speaking}), now=now)

    def end(self, talk: BlindTalk) -> BlindTalk:
        """End a conversation; from here on its models may be named. A turn that was not rated stays unrated."""
        if talk.phase == "ended":
            return talk
        return self.context.store.conversations.save(talk.model_copy(update={"phase": "ended"}), now=self.context.now())

    def answers(self, talk: BlindTalk) -> tuple[Completion, ...]:
        """The answers of the turn that is on, in the order shown."""
        if talk.turn.task_id is None:
            return ()
        task = self.context.store.tasks([talk.turn.task_id])[talk.turn.task_id]
        by_id = {completion.id: completion for completion in task.completions}
        return tuple(by_id[i] for i in talk.turn.shown)

    def sources(self, talk: BlindTalk) -> list[tuple[str, ...]]:
        """Who gave the answers of each turn, in the order shown; only for conversations that ended."""
        tasks = self.context.store.tasks([turn.task_id for turn in talk.turns if turn.task_id])
        named = []
        for turn in talk.turns:
            by_id = {c.id: c.source for c in tasks[turn.task_id].completions} if turn.task_id else {}
            named.append(tuple(by_id[i] for i in turn.shown))
        return named

    def _draw(self, purpose: Purpose, seed: int) -> tuple[str, str]:
        """Two of the models, any two as likely as others."""
        names = sorted(self.context.speakers)
        if len(names) < (2 if purpose == "evaluation" else 1):
            raise StoreError("there are too few models to talk with; start the service with two")
        if len(names) == 1:
            return names[0], names[0]
        one, other = seeds.stream(seed, "models").permutation(len(names))[:2]
        return names[one], names[other]

    def _listen(self, talk: BlindTalk) -> None:
        """Wait for the models in a thread of their own, and say every few seconds that somebody waits."""
        done = threading.Event()
        with self._lock:
            self._asking[talk.rater_id] += 1

        def work() -> None:
            try:
                self._answer(talk)
            finally:
                with self._lock:
                    self._asking -= Counter([talk.rater_id])
                done.set()

        def beat() -> None:
            while not done.wait(BEAT_SECONDS):
                try:
                    self.context.store.conversations.beat(talk, now=self.context.now())
                except AssentError as error:
                    LOG.warning("conversation %s: %s", talk.id, error)

        for target in (work, beat):
            threading.Thread(target=target, name=f"talk {talk.id[:8]}", daemon=True).start()

    def _answer(self, talk: BlindTalk) -> None:
        """Get both answers, make a task of them and lend it to the rater; a failure is kept as such."""
        try:
            texts = [self._ask(talk, n) for n in range(2)]
            answered = self._asked(talk, texts)
        except _Unwanted:
            return
        except Exception:  # a model may raise anything; the rater learns that it failed, the log learns why
            LOG.exception("conversation %s: a model did not answer", talk.id)
            answered = talk.model_copy(update={"phase": "failed"})
        try:
            self.context.store.conversations.save(answered, now=self.context.now())
        except AssentError as error:  # ended or asked again meanwhile: this answer came too late
            LOG.warning("conversation %s: %s", talk.id, error)

    def _ask(self, talk: BlindTalk, n: int) -> str:
        """The nth answer, as text that a database can keep."""
        name = (talk.speaking or talk.models)[n]
        seed = _seed(talk, n)
        with self._mouths[name]:
            self._refuse_unwanted(talk)
            return storable(self.context.speakers[name].reply(list(talk.messages), seed))

    def _refuse_second(self, rater_id: str, conversation: str, *, most: int = 1) -> None:
        """Raise ConflictError where models work for this rater already, or for as many as they can."""
        waiting = self.context.store.conversations.waiting(rater_id)
        is_other = waiting is not None and waiting.id != conversation and not waiting.is_silent(self.context.now())
        with self._lock:
            if is_other or self._asking[rater_id] >= most:
                raise ConflictError("the models are answering another message of yours; wait a moment, then try again")
            if self._asking.total() >= MOST_ASKING:
                raise ConflictError("very many people talk with the models now; try again in a minute")

    def _refuse_unwanted(self, talk: BlindTalk) -> None:
        """Raise _Unwanted where nobody waits any more: the conversation ended or went on meanwhile."""
        now = self.context.store.conversations.get(talk.id, talk.rater_id)
        if now is None or (now.phase, now.version) != (talk.phase, talk.version):
            raise _Unwanted

    def _asked(self, talk: BlindTalk, texts: Sequence[str]) -> BlindTalk:
        """The conversation with a task for this turn."""
        store, now, number = self.context.store, self.context.now(), len(talk.turns)
        names = talk.speaking or talk.models
        messages: tuple[Message, ...] = talk.messages
        prompt = Prompt(messages=messages, meta={"conversation": talk.id, "turn": number})
        is_void = any(names_a_model(text, self.context.speakers) for text in texts)
        completions = tuple(
            Completion(
                prompt_id=prompt.id,
                text=text,
                id="c-" + short(hash_json([talk.id, number, talk.turn.attempt, n, text])),
                source=names[n],
                meta={"seed": _seed(talk, n)} | ({"leak": True} if names_a_model(text, self.context.speakers) else {}),
            )
            for n, text in enumerate(texts)
        )
        kind = "battle" if talk.purpose == "evaluation" else "chat"
        task = Task(
            id=f"{kind}-{talk.id}-{number}" + (f"-{talk.turn.attempt}" if talk.turn.attempt else ""),
            prompt=prompt,
            completions=completions,
            kind=kind,
            purpose=talk.purpose,
            project=talk.project,
        )
        served = store.add_task_for(talk.rater_id, task, now=now)
        shown = talk.with_turn(task_id=task.id, token=served.token, shown=served.order, is_void=is_void)
        return shown.model_copy(update={"phase": "rating"})


class _Unwanted(Exception):
    """An answer for which nobody waits any more."""


def names_a_model(text: str, names: Collection[str]) -> bool:
    """Does a text name one of the models, whole or by the last part of a path, however it is spaced and cased?

    A name that is an ordinary word ("base") counts only where somebody says that they are it.
    """
    said = f" {_SIGNS.sub(' ', text.casefold())} "
    for name in names:
        for part in {name, name.rstrip("/").rpartition("/")[2]}:
            words = _SIGNS.sub(" ", part.casefold()).strip()
            is_odd = not words.isalpha() or len(words) >= _LONG_NAME
            if len(words) < _SHORTEST_NAME or f" {words} " not in said:
                continue
            if is_odd or re.search(rf" {_SAYS_WHO}(?: the| a| an)? {re.escape(words)} ", said):
                return True
    return False


def _judgment(talk: BlindTalk, vote: TalkVote) -> Judgment:
    first, second = talk.turn.shown
    match vote.choice:
        case "first" | "second":
            tiers = ((first,), (second,)) if vote.choice == "first" else ((second,), (first,))
            ranking = Ranking(tiers=tiers, strengths=(vote.strength,))
        case _:
            ranking = Ranking(tiers=((first, second),))
    return Judgment(
        id=vote.id,
        task_id=talk.turn.task_id or "",
        rater_id=talk.rater_id,
        ranking=ranking,
        flags={first: ("unusable",), second: ("unusable",)} if vote.choice == "bad" else {},
        critique=vote.critique if (vote.critique or "").strip() else None,
        seconds=vote.seconds,
    )


def _choice(judgment: Judgment, shown: Sequence[str]) -> Choice:
    if judgment.ranking is not None and len(judgment.ranking.tiers) == 2:
        return "first" if judgment.ranking.ids[0] == shown[0] else "second"
    return "bad" if all("unusable" in judgment.flags.get(i, ()) for i in shown) else "tie"


def _seed(talk: BlindTalk, n: int) -> int:
    return seeds.derive(talk.seed, "reply", len(talk.turns), talk.turn.attempt, n)
