"""Whether a run can use a row: tried against template and lengths where rows are read, so that its line is known."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from pydantic import Field

from assent.artifacts.identity import FromOutside, resolved
from assent.artifacts.outside import hashes, known, placeless
from assent.core.config import Config
from assent.core.errors import DataError, ModelError
from assent.core.group import Group
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.render import Renderer
from assent.data.talks import fit_comparisons, fit_demonstrations, row_limit
from assent.models.config import ModelConfig
from assent.pipeline.config import FileData, PretrainedBase, RunConfig, ScratchBase
from assent.pipeline.limits import Room, RowLimit
from assent.training.term_config import TermConfig

Item = Prompt | Conversation | Comparison


class Template(Config):
    """The tokenizer and the chat template of the base."""

    path: str | None = Field(json_schema_extra={"outside": "model", "named": "model"})
    """Folder or hub id of the base; None: it is made from scratch, from the very rows that are tried."""
    revision: str | None = None
    """Commit or tag on the hub."""
    template: str | None = Field(default=None, json_schema_extra={"outside": "template"})
    """Another template than its own."""
    pad_token: str | None = None
    """As `model.pad_token` says."""
    trust_remote_code: bool = Field(default=False, json_schema_extra={"affects_result": False})
    """As `model.trust_remote_code` says."""
    date: datetime.date | None = Field(default=None, json_schema_extra={"affects_result": False})
    """The day that a template which reads the clock is told."""

    def identity(self) -> FromOutside:
        """What decides which rows pass, as the `extra` of a key."""
        content = hash_json([resolved(placeless(self)), known(self).content])
        return FromOutside({"rows pass": content}, {"rows pass": hash_json([resolved(self), hashes(self)])})

    @classmethod
    def of(cls, config: RunConfig) -> Template | None:
        """Of the run's base; None where the lab writes the rows."""
        if not isinstance(config.data, FileData):
            return None
        match config.base:
            case PretrainedBase(path=path, revision=revision):
                return cls.at(path, config.model, revision=revision)
            case ScratchBase():
                return cls.at(None, config.model)
            case _ as never:
                assert_never(never)

    @classmethod
    def at(cls, path: str | Path | None, model: ModelConfig, *, revision: str | None = None) -> Template:
        """Of a model in a folder or on the hub, loaded as the settings say; None: of one that is to be made."""
        return cls(
            path=None if path is None else str(path),
            revision=revision,
            template=model.template,
            pad_token=model.pad_token,
            trust_remote_code=model.trust_remote_code,
            date=model.date,
        )


@dataclass(frozen=True)
class RowReader:
    """What decides how long a row is, and how long one may be."""

    renderer: Renderer
    context: int | None
    """Tokens that the base reads; None where its tokenizer is still to be made, so that no row has a length yet."""

    @classmethod
    def of(cls, template: Template) -> RowReader:
        """Open tokenizer and configuration; weights are not read. Raises ModelError."""
        if template.path is None:
            return cls.before_any_text(template)
        from assent.models.context import read_context  # torch comes along
        from assent.models.tokenizer import load_tokenizer

        path, trusted, revision = template.path, template.trust_remote_code, template.revision
        tokenizer = load_tokenizer(
            path,
            pad_token=template.pad_token,
            trust_remote_code=trusted,
            revision=revision,
            template=template.template,
        )
        renderer = Renderer(tokenizer, template=template.template, date=template.date)
        return cls(renderer, read_context(path, trust_remote_code=trusted, revision=revision))

    @classmethod
    def before_any_text(cls, template: Template) -> RowReader:
        """Of a base from scratch: whatever its texts are, its tokenizer has the same marks and reads every byte."""
        from assent.models.byte_pairs import train_tokenizer  # transformers comes along

        tokenizer = train_tokenizer((), vocab_size=300)
        return cls(Renderer(tokenizer, template=template.template, date=template.date), context=None)

    def refuse_no_room(self, prompts: Sequence[Prompt], rooms: Iterable[Room], what: str, *, fewest: int) -> None:
        """Raise DataError where fewer prompts than `fewest` leave room for an answer."""
        if self.context is None:
            return
        for room in rooms:
            found = 0
            for prompt in prompts:
                found += len(self.renderer.prompt(prompt)) <= self.context - room.tokens
                if found == fewest:
                    break
            else:
                raise DataError(
                    f"{found} of {len(prompts)} {what} leave room for an answer: the base reads {self.context} tokens,"
                    f" of which {room.key} takes {room.tokens}, and {fewest} or more are needed; lower it, or give"
                    " shorter prompts"
                )


class RowCheck:
    """Raises DataError for a row that cannot be used, and counts what each stage that will read the rows can use."""

    def __init__(self, reader: RowReader, limits: Iterable[RowLimit] = (), *, terms: Iterable[TermConfig] = ()) -> None:
        self._renderer, self._terms = reader.renderer, tuple(terms)
        context = reader.context
        self._limits = [] if context is None else [(one, row_limit(one.max_length, context)) for one in limits]
        self._seen = 0
        self._usable: Counter[str] = Counter()

    def __call__(self, item: Item) -> None:
        """Try one prompt, conversation or comparison."""
        try:
            longest = max((_length(group) for group in self._groups(item)), default=0)
        except ModelError as error:
            raise DataError(str(error)) from None
        for limit, tokens in self._limits:
            if limit.is_strict and longest > tokens:
                raise DataError(
                    f"its longest row has {longest} tokens, and {limit.key} reads {tokens}; shorten it, or set"
                    f" {limit.key}.too_long to drop or truncate_left"
                )
        self._seen += 1
        for limit, tokens in self._limits:
            self._usable[limit.key] += longest <= tokens or self._can_be_cut(item, limit, tokens)

    def refuse_useless(self, what: str) -> None:
        """Raise DataError where a stage can use none of the rows that were tried."""
        for limit, tokens in self._limits:
            if self._seen and not self._usable[limit.key]:
                raise DataError(
                    f"none of {self._seen} {what} fits into the {tokens} tokens that {limit.key} reads; raise"
                    f" {limit.key}.max_length (the model's context is the most it can be), or shorten them"
                )

    def _groups(self, item: Item) -> Sequence[Group]:
        match item:
            case Prompt():
                for term in self._terms:
                    term.refuse_prompt(item)
                self._renderer.prompt(item)
                return ()
            case Conversation():
                return self._renderer.demonstration(item)
            case Comparison():
                return (self._renderer.group(*_asked(item)),)

    def _can_be_cut(self, item: Item, limit: RowLimit, tokens: int) -> bool:
        match item:
            case Prompt():
                return True
            case Conversation():
                cut = fit_demonstrations([item], self._renderer, max_length=tokens, policy=limit.too_long)
            case Comparison():
                cut = fit_comparisons([_asked(item)], self._renderer, max_length=tokens, policy=limit.too_long)
        return bool(cut.kept)


def check_of(
    template: Template | None, limits: Iterable[RowLimit] = (), *, terms: Iterable[TermConfig] = ()
) -> RowCheck | None:
    """The check of rows for a base, and of prompts for terms of a reward; None where there is no template to pass."""
    return None if template is None else RowCheck(RowReader.of(template), limits, terms=terms)


def _asked(item: Comparison) -> tuple[Prompt, list[str], list[bool]]:
    return item.prompt, [answer.text for answer in item.completions], [answer.finished for answer in item.completions]


def _length(group: Group) -> int:
    return len(group.prompt) + max(len(continuation) for continuation in group.continuations)
