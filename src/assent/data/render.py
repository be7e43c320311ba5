"""Rendering: conversations into token ids and back. The only code in Assent that knows about chat templates.

What a template adds around an answer is learned once, by rendering a probe:

    <|im_start|>user\\nQ<|im_end|>\\n<|im_start|>assistant\\n   A     <|im_end|>      \\n
                      ╰───────────── tail ──────────────╯    lead/text   end        after

Scored are the answer (with what the template lays before it) and the end-of-turn token; `after` is context. Pieces are
tokenized apart, each behind the text that precedes it in every conversation, so that a training row is exactly the
prompt's tokens and the answer's tokens, as in generation. Templates that rewrite earlier turns (Qwen 3 drops earlier
thoughts) give one group per assistant turn. Special tokens written in a message are text, never control.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np

from assent.core.errors import DataError, ModelError
from assent.core.group import Group, TokenIds
from assent.core.types import Asked, Conversation, Message, Prompt
from assent.data.learned import learned
from assent.data.template_clock import reads_clock, template_text, told_date
from assent.data.template_process import Rendering, TemplateFailed, render_templates
from assent.data.turn_form import PROBE, Piece, Talk, missing, tools_for, turns_for

_QUESTION = Message(role="user", content="Question probe")
_ANSWER = Message(role="assistant", content="Answer probe")
_SYSTEM = Message(role="system", content="System probe")
# Unicode noncharacters: they mark special tokens that a person typed, while a template runs over them.
_OPEN, _SHUT = "\ufdd0", "\ufdd1"
_OTHER = "give a template that writes it with `template`, or leave such rows out"


@dataclass(frozen=True)
class _Shape:
    """What a template adds, see the picture above."""

    asked: str
    """The rendered question up to and including the generation prompt."""
    tail: str
    lead: str
    before_end: str
    end: str
    """Empty where the template writes no end-of-turn token; the tokenizer's end-of-text token ends an answer then."""
    after: str
    is_appended: bool
    """Whether a rendered answer begins with the rendered generation prompt; if not, answers follow it directly."""

    @property
    def closing(self) -> str:
        return self.before_end + self.end + self.after


class Renderer:
    """Turns messages into tokens for one tokenizer and one template.

    `tokenizer` is a transformers fast tokenizer; `template` is Jinja text or the path of a file with it, None for the
    tokenizer's own, or Assent's plain one where it has none. `ends` are further tokens that end an answer. `date` is
    the day that a template which reads the clock is told, None for today. Raises ModelError when the template cannot
    be used.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        template: str | None = None,
        ends: Sequence[int] = (),
        date: datetime.date | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.template, self._origin = _choose_template(tokenizer, template)
        """The Jinja text; save it with the tokenizer so that others render alike."""
        # Fixed once: a talk over midnight goes on with the same prompt.
        self._date = date or datetime.date.today()
        self._dated = told_date(self.template, self._date)
        self._added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
        special = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special} | set(
            tokenizer.all_special_tokens
        )
        self._special = _any_of(special)
        self._marked = re.compile(f"{_OPEN}({self._special.pattern}){_SHUT}")
        self._bos = _bos_added(tokenizer)
        self._anchors: dict[str, list[int]] = {}
        self._shape = self._probe()
        self._merges_system = not self._knows(Talk((_SYSTEM, _QUESTION)), _SYSTEM.content)
        self.end_id = self._end_id()
        """The token that ends an assistant turn."""
        eos = tokenizer.eos_token_id
        first = (self.end_id,) if eos is None else (self.end_id, eos)
        self.stop_ids: tuple[int, ...] = tuple(dict.fromkeys((*first, *ends)))
        """Tokens at which sampling stops: the end of turn, the end of text, then further ones."""
        self._decoded_lead = self._decode(self._encode(self._shape.lead))

    def prompt(self, asked: Asked) -> TokenIds:
        """Tokens up to and including the generation prompt: what the engine samples from.

        Raises DataError where the template leaves out tools, calls or results.
        """
        return self._prompt(self._accepted(Talk.of(asked)))

    def completion(self, text: str, *, finished: bool = True) -> TokenIds:
        """An answer's tokens, with what the template lays before it, and with the end-of-turn token if finished."""
        return self._completions([text], [finished])[0]

    def group(self, prompt: Prompt, texts: Sequence[str], finished: Sequence[bool] | None = None) -> Group:
        """One prompt and K answers to it, all their tokens scored; `finished[k]` False leaves out the end of turn."""
        is_finished = [True] * len(texts) if finished is None else finished
        answers = self._completions(texts, is_finished)
        return Group(self.prompt(prompt), tuple(answers))

    def demonstration(self, conversation: Conversation) -> list[Group]:
        """Groups of one row whose mask is True exactly on assistant turns and their end-of-turn tokens.

        One group, or one per assistant turn where the template rewrites earlier turns. Meta `learn: last` scores only
        the last assistant turn, and a list of numbers only those, the last being 1 (cutting first exchanges moves
        none). A conversation of one assistant turn is plain text: no template, all of it scored. Raises DataError when
        nothing would be scored.
        """
        talk = Talk.of(conversation)
        if len(talk.turns) == 1 and talk.turns[0].role == "assistant" and talk.is_plain:
            return [self._plain_text(talk.turns[0].content)]
        talk = self._accepted(talk)
        chosen = learned(conversation, talk.turns)
        if not chosen:
            raise DataError(
                f"conversation {conversation.id} has no assistant turn to learn after a user's, so every label would be"
                " masked; add the answer or list the conversation under prompts"
            )
        talk = talk.to(chosen[-1] + 1)
        pieces = self._pieces(talk, chosen)
        if pieces is None:
            return [Group(self._prompt(talk.to(i)), (self._answer(talk.to(i + 1)),)) for i in chosen]
        first, *rest = self._tokens(pieces)
        spoken = [i for i, turn in enumerate(talk.turns) if turn.role == "assistant" and i > 0]
        said = [n for n, (_, is_answer) in enumerate(rest) if is_answer]
        answers = {n for n, i in zip(said, spoken, strict=True) if i in chosen}
        masks = [np.full(len(ids), n in answers) for n, (ids, _) in enumerate(rest)]
        return [Group(first[0], (np.concatenate([ids for ids, _ in rest]),), (np.concatenate(masks),))]

    def text(self, token_ids: Sequence[int] | TokenIds) -> str:
        """An answer's text: up to the end of turn, without special tokens and what the template lays around it."""
        ids = [int(token) for token in token_ids]
        cut = next((n for n, token in enumerate(ids) if token in self.stop_ids), None)
        text = self._decode(ids[:cut]).removeprefix(self._decoded_lead)
        return text if cut is None else text.removesuffix(self._shape.before_end)

    def describe(self) -> str:
        """Which template is used, whose it is, and what ends a turn."""
        said = f"{self._origin}; a turn ends with {self.tokenizer.convert_ids_to_tokens(self.end_id)!r}"
        if not self._shape.end:
            said += " (the template writes no end-of-turn token)"
        if self._merges_system:
            said += "; system turns are laid before the first user turn (the template has none)"
        if self.date is not None:
            said += f"; it reads the clock and is told {self.date}"
        return said

    @property
    def date(self) -> datetime.date | None:
        """The day that the template is told; None where it does not ask."""
        return self._date if reads_clock(self.template) else None

    # -- templates ---------------------------------------------------------------------------------------------------

    def _probe(self) -> _Shape:
        prompt, full = self._render(Talk((_QUESTION,)), Talk((_QUESTION, _ANSWER)), to_answer=True)
        asked, said = prompt.rfind(_QUESTION.content), full.rfind(_ANSWER.content)
        if asked < 0 or said < 0:
            raise ModelError(
                f"{self._origin} leaves out what the user or the assistant says; give another with `template`"
            )
        is_appended = full.startswith(prompt) and said >= len(prompt)
        lead = full[len(prompt) : said] if is_appended else ""
        closing = full[said + len(_ANSWER.content) :]
        found = _any_of(set(self._added) | set(self.tokenizer.all_special_tokens)).search(closing)
        start, stop = found.span() if found else (0, 0)
        tail = prompt[asked + len(_QUESTION.content) :]
        return _Shape(prompt, tail, lead, closing[:start], closing[start:stop], closing[stop:], is_appended)

    def _end_id(self) -> int:
        if self._shape.end:
            return int(self.tokenizer.convert_tokens_to_ids(self._shape.end))
        if self.tokenizer.eos_token_id is None:
            raise ModelError(
                f"{self._origin} ends a turn with no special token and the tokenizer has no eos_token; "
                "set eos_token on the tokenizer, or give a `template` that ends turns with a token"
            )
        return int(self.tokenizer.eos_token_id)

    def _render(self, *talks: Talk, to_answer: bool = False) -> list[str]:
        """The template's text of each; special tokens that a person typed come out between two marks.

        With `to_answer` the first ends in the generation prompt.
        """
        mark, variables = self._marked_special, self.tokenizer.special_tokens_map
        asked = [Rendering(turns_for(talk.turns, mark), tools_for(talk.tools, mark)) for talk in talks]
        asked[0] = asked[0]._replace(to_answer=to_answer)
        try:
            return render_templates(self._dated, asked, variables=variables, origin=self._origin)
        except TemplateFailed as error:
            roles = ", ".join(m.role for m in talks[error.at].turns)
            raise ModelError(
                f"{self._origin} failed on turns {roles}: {error}; correct the turns or give another with `template`"
            ) from error

    def _accepted(self, talk: Talk) -> Talk:
        """The turns as the template can take them: system turns laid before the first user turn where it knows none."""
        if not self._merges_system or not any(turn.role == "system" for turn in talk.turns):
            return talk
        system = [turn.content for turn in talk.turns if turn.role == "system"]
        others = [turn for turn in talk.turns if turn.role != "system"]
        if not others or others[0].role != "user":
            others.insert(0, Message(role="user", content=system.pop()))
        first = Message(role="user", content="\n\n".join([*system, others[0].content]))
        return Talk((first, *others[1:]), talk.tools)

    def _knows(self, talk: Talk, text: str) -> bool:
        try:
            return text in self._render(talk, to_answer=True)[0]
        except ModelError:
            return False

    def _prompt(self, talk: Talk) -> TokenIds:
        if not talk.turns or talk.turns[-1].role == "assistant":
            raise DataError("a prompt must end in a user turn for the assistant to answer; got one that does not")
        pieces = self._pieces(talk)
        if pieces is None:
            (text,) = self._render(talk, to_answer=True)
            self._refuse_missing([Piece(text, talk.turns)], talk)
            return self._begin(text)
        return np.concatenate([ids for ids, _ in self._tokens(pieces)])

    def _completions(self, texts: Sequence[str], finished: Sequence[bool]) -> list[TokenIds]:
        """Tokens of answers, whose texts the template is given together."""
        shape, said = self._shape, dict[str, str]()
        if shape.is_appended and (shown := [text for text in texts if text.strip()]):
            probes = [Talk((_QUESTION, Message(role="assistant", content=text))) for text in shown]
            said = dict(zip(shown, self._render(*probes), strict=True))
        found = []
        for text, is_finished in zip(texts, finished, strict=True):
            answer, full = shape.lead + self._marked_special(text), said.get(text)
            if full is not None and full.startswith(shape.asked) and full.endswith(shape.closing):
                # What the template itself makes of this very text (trimmed, thoughts taken apart).
                answer = full[len(shape.asked) : len(full) - len(shape.closing)]
            ids = self._after(shape.tail, answer + (shape.before_end if is_finished else ""))
            ids += [self.end_id] if is_finished else []
            if not ids:
                raise DataError("an unfinished answer without any text has no tokens; drop it")
            found.append(np.array(ids, dtype=np.int64))
        return found

    def _answer(self, talk: Talk) -> TokenIds:
        """The last turn of a talk whose earlier turns the template rewrites, as it stands behind them."""
        said, shape = talk.turns[-1], self._shape
        prompt, full = self._render(talk.to(-1), talk, to_answer=True)
        text = full.removeprefix(prompt).removesuffix(shape.closing)
        is_joined = len(text) == len(full) - len(prompt) - len(shape.closing)
        if talk.is_plain or (said.is_plain and not is_joined):
            return self.completion(said.content)
        if not is_joined:
            raise DataError(f"{self._origin} writes calls or reasoning otherwise than it asks for them; {_OTHER}")
        self._refuse_missing([Piece(text, (said,), is_answer=True, is_learned=True)], Talk((said,)))
        return np.array([*self._after(shape.tail, text + shape.before_end), self.end_id], dtype=np.int64)

    def _pieces(self, talk: Talk, chosen: Collection[int] = ()) -> list[Piece] | None:
        """Context, answer, context, … or None where the text so far is no beginning of the text with more turns.

        Raises DataError where the template leaves out tools, calls, results, or reasoning of the chosen turns.
        """
        shape, turns = self._shape, talk.turns
        can_join = shape.is_appended and bool(shape.end)
        pieces: list[Piece] = []
        done, seen = "", 0
        for i, turn in enumerate(turns):
            if turn.role != "assistant" or i == 0:
                continue
            prompt, full = self._render(talk.to(i), talk.to(i + 1), to_answer=True)
            is_joined = prompt.startswith(done) and full.startswith(prompt) and full.endswith(shape.closing)
            if not can_join or not is_joined or len(full) < len(prompt) + len(shape.closing):
                return None
            answer_end = len(full) - len(shape.end + shape.after)
            pieces += [
                Piece(prompt[len(done) :], turns[seen:i]),
                Piece(full[len(prompt) : answer_end], (turn,), is_answer=True, is_learned=i in chosen),
            ]
            done, seen = full[: answer_end + len(shape.end)], i + 1
        if turns[-1].role != "assistant":
            (prompt,) = self._render(talk, to_answer=True)
            if not prompt.startswith(done):
                return None
            pieces.append(Piece(prompt[len(done) :], turns[seen:]))
        self._refuse_missing(pieces, talk)
        return pieces

    def _refuse_missing(self, pieces: Sequence[Piece], talk: Talk) -> None:
        """Raise DataError where the template left out something that it does not say on purpose."""
        lost = missing([piece.without(_OPEN, _SHUT) for piece in pieces], talk)
        if talk.tools and not self._shows_tools:
            lost = "the tools"
        if lost is not None:
            raise DataError(f"{self._origin} leaves out {lost}; {_OTHER}")

    @cached_property
    def _shows_tools(self) -> bool:
        return self._knows(Talk((_QUESTION,), (PROBE,)), PROBE["function"]["name"])

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _tokens(self, pieces: Sequence[Piece]) -> list[tuple[TokenIds, bool]]:
        """Ids of each piece, and whether it is an answer; an answer gets its end-of-turn token."""
        found: list[tuple[TokenIds, bool]] = [(self._begin(pieces[0].text), False)]
        for piece in pieces[1:]:
            if piece.is_answer:
                ids = [*self._after(self._shape.tail, piece.text), self.end_id]
            else:
                ids = self._after(self._shape.end, piece.text)
            found.append((np.array(ids, dtype=np.int64), piece.is_answer))
        return found

    def _begin(self, text: str) -> TokenIds:
        """The first piece, with the beginning-of-text token that the tokenizer would add and the template did not."""
        ids = self._encode(text)
        if self._bos is not None and ids[:1] != [self._bos]:
            ids = [self._bos, *ids]
        return np.array(ids, dtype=np.int64)

    def _plain_text(self, text: str) -> Group:
        """Text to learn from its first token on, after the token that stands between texts."""
        start = self.tokenizer.bos_token_id
        start = self.tokenizer.eos_token_id if start is None else start
        if start is None:
            raise ModelError("the tokenizer has neither bos_token nor eos_token to begin plain text with; set one")
        stop = self.end_id if self.tokenizer.eos_token_id is None else self.tokenizer.eos_token_id
        ids = [*self._encode(self._marked_special(text)), stop]
        return Group(np.array([start], dtype=np.int64), (np.array(ids, dtype=np.int64),))

    def _after(self, anchor: str, text: str) -> list[int]:
        """Ids of a text that stands behind `anchor`, where a tokenizer may treat a beginning in its own way.

        If anchor and text melt into one token at their border, the text is tokenized alone: borders stay borders.
        """
        if anchor not in self._anchors:
            self._anchors[anchor] = self._encode(anchor)
        before = self._anchors[anchor]
        both = self._encode(anchor + text)
        return both[len(before) :] if both[: len(before)] == before else self._encode(text)

    def _encode(self, text: str) -> list[int]:
        if _OPEN not in text:
            return self._ids(text)
        # Odd parts are special tokens that a person typed: their letters are encoded, not the token.
        parts = self._marked.split(text)
        return [i for n, part in enumerate(parts) if part for i in self._ids(part, as_letters=n % 2 == 1)]

    def _ids(self, text: str, *, as_letters: bool = False) -> list[int]:
        if not text:
            return []
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=as_letters, verbose=False)
        return list(encoded["input_ids"])

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _marked_special(self, text: str) -> str:
        return self._special.sub(lambda found: f"{_OPEN}{found.group()}{_SHUT}", text)


def _choose_template(tokenizer: Any, template: str | None) -> tuple[str, str]:
    """(Jinja text, what to call it)."""
    if template is not None:
        is_file = "{" not in template
        return template_text(template), f"the chat template {template}" if is_file else "the configured chat template"
    if tokenizer.chat_template:
        try:
            return tokenizer.get_chat_template(), "the model's own chat template"
        except ValueError as error:
            raise ModelError(f"the model has several chat templates: {error}; choose one with `template`") from None
    plain = files("assent.data").joinpath("templates/plain.jinja").read_text(encoding="utf-8")
    return plain, "Assent's plain chat template (the model has none)"


def _bos_added(tokenizer: Any) -> int | None:
    """The beginning-of-text token, if this tokenizer lays it before plain text."""
    bos = tokenizer.bos_token_id
    return bos if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else None


def _any_of(texts: set[str]) -> re.Pattern[str]:
    """Matches any of these texts, the longest first; nothing if there are none."""
    longest_first = sorted((text for text in texts if text), key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
