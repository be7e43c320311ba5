"""What stands in a row beside what its reader takes: counted as ignored, or a reason to refuse the row.

A column that no reader takes is, in this order: nothing (blank), a repetition of what was read, something that by its
name changes what the row means (refused), something that by its name does not (ignored), a label rather than a text
(ignored), or a text of several words or a structure of unknown meaning (refused). `ignore` in a source settles it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from assent.core.types import Comparison, Conversation, Prompt
from assent.data.rows import HALF, Row
from assent.data.values import is_blank, number


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SYSTEM = ("system", "system_prompt", "system_message")
HISTORY = ("history", "chat_history", "conversation_history")
TOOLS = ("tools", "functions")
SHARED = frozenset((*SYSTEM, *HISTORY, *TOOLS))
"""Columns that every flat format reads alike: a system turn, turns before the question, tools that may be called."""

_TELLING = _names("""
    system systemprompt systemmessage systeminstruction sysprompt sys preamble persona developer history chathistory
    conversationhistory dialogue dialog previousturns prompt instruction instructions input inputs question query
    context contexts passage passages document documents article background knowledge evidence story paragraph
    choices options fewshot examples user usermessage userprompt tools tool toolcalls toolcallid toolresults toolname
    functions function functioncall functioncalls api apis image images imageurl picture audio audios video videos
    file files attachments parts reasoningcontent reasoning thinking thought thoughts cot chainofthought scratchpad
    chattemplatekwargs chattemplate prefix suffix prefill refusal recipient channel speaker
    lossmask lossmasks lossweight mask masks
""")
"""Names (without signs, in lower case) of what changes the meaning of a row or turn, whatever stands there."""
_FLAGS = _names("weight weights sampleweight train trainable trainonturn loss learn")
"""Names of what says whether or how much to learn; harmless where it says yes or 1."""
_VERDICTS = _names("label iscorrect correct issafe accepted isaccepted isgood good desirable")
"""Names of what says whether an answer is a good one; harmless in a demonstration where it says yes."""
_HARMLESS = _names("""
    id ids uid uuid idx index hash sha256 source sources dataset datasets origin provenance url urls link license
    lang language languages category categories tag tags topic topics domain subject difficulty level
    split subset tasktype type kind model models modelname generator created date time timestamp tstamp
    createdat updatedat author annotator annotators worker judge rater status rank ranks score scores rating ratings
    votes margin length lengths tokens metadata meta extra extrainfo info stats moderation openaimoderation toxicity
    toxicchattag quality flags comment comments note notes critique critiques feedback annotations annotation
    principle evaluation embedding embeddings inputids attentionmask labels avatarurl
""")
"""Names of where a row is from, what it is about, and what was said about it."""
_HARMLESS_ENDS = tuple(
    sorted(
        _names("""
    _id _ids _index _idx _hash _source _model _models _score _scores _rating _ratings _rank _token _tokens _count
    _counts _length _lengths _url _urls _date _time _at _utc _lang _language _type _category _categories _tag _tags
    _metadata _version _level _annotator _annotators
""")
    )
)
_HARMLESS_BEGINS = ("num_", "n_", "labelling_", "labeling_", "raw_", "is_", "has_", "__index", "unnamed:")
_JUDGED = _names("explanation explanations justification rationale rationales reason reasons why")
"""Why people judged as they did; beside a demonstration it may be part of the answer."""
_LABEL = 64
"""A text of one word and at most so many characters is a label rather than something to read."""
_Items = Collection[Prompt | Conversation | Comparison]


def settle(row: Row, items: _Items, *, ignores: Collection[str], wanted: str) -> None:
    """Count what became of every column of a row that was read. Raises its error where one could change the meaning.

    What stands beside a plain text to learn (its title, where it is from) changes nothing, unless its name says so.
    """
    said = texts(items)
    if row.tally.used.keys() - {"id"} == {"text"}:
        wanted = "texts"
    refused = []
    for name, value in row.values.items():
        if name in row.tally.used or name in row.tally.kept or is_blank(value):
            continue
        if name in ignores or _is_repetition(value, said) or not changes_meaning(name, value, wanted):
            row.tally.ignore(name)
        else:
            refused.append(name)
    if refused:
        raise row.error(unread(refused))


def unread(names: Iterable[str]) -> str:
    """Why a row with these columns cannot be used, and what to do."""
    named = list(map(str, names))
    is_one = len(named) == 1
    these = f"{', '.join(map(repr, named))} {'is' if is_one else 'are'} not read and could change what the row means"
    way = f"rename {'it' if is_one else 'them'} with columns, or leave {'it' if is_one else 'them'} out with ignore:"
    return f"{these}; {way} [{', '.join(named)}]"


def changes_meaning(name: str, value: Any, wanted: str) -> bool:
    """Whether something that no reader takes, under this name, could change what a row or turn means."""
    bare = re.sub(r"[^a-z0-9]", "", str(name).lower())
    if bare in _TELLING:
        return value is not False
    if bare in _FLAGS or (bare in _VERDICTS and wanted == "demonstrations"):
        return not (value is True or number(value) == 1 or str(value).lower() == "true")
    if wanted in ("prompts", "texts") or is_harmless(name) or (wanted == "comparisons" and bare in _JUDGED):
        return False
    return not is_label(value)


def is_harmless(name: str) -> bool:
    """Whether a name says where a row is from or what was said about it, so that its value can be left out."""
    low = str(name).lower()
    bare = re.sub(r"[^a-z0-9]", "", low)
    return bare in _HARMLESS or low.endswith(_HARMLESS_ENDS) or low.startswith(_HARMLESS_BEGINS)


def is_label(value: Any) -> bool:
    """Whether a value is a number, a flag, a date or one word: too little to be something said."""
    if isinstance(value, str):
        return len(value) <= _LABEL and not re.search(r"\S\s+\S", value)
    if isinstance(value, list | tuple):
        return all(number(one) is not None or isinstance(one, bool) for one in value)
    return not isinstance(value, Mapping | bytes) and (isinstance(value, bool) or number(value) is not None)


def meta(row: Row, ignores: Collection[str] = ()) -> dict[str, Any]:
    """Every column of a prompt's row that is not the prompt: what reward functions see."""
    found = {}
    for name, value in row.values.items():
        if name in row.tally.used or name in ignores or is_blank(value) or changes_meaning(name, value, "prompts"):
            continue
        try:
            written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError):
            row.tally.ignore(name)
            continue
        if HALF.search(written):
            raise row.error(f"{name!r} holds half a character (a lone surrogate); save the text anew")
        row.tally.keep(name)
        found[name] = value
    return found


def texts(items: _Items) -> frozenset[str]:
    """Every text that was made of a row, and every list of turns as one text."""
    found: set[str] = set()
    for item in items:
        turns = item.prompt.messages if isinstance(item, Comparison) else item.messages
        found |= {turn.content.strip() for turn in turns}
        if isinstance(item, Comparison):
            found |= {answer.text.strip() for answer in item.completions}
    return frozenset(found)


def _is_repetition(value: Any, said: Collection[str]) -> bool:
    """Whether a column holds only what was read: a text, or turns all of whose texts were."""
    if isinstance(value, str):
        return value.strip() in said
    if isinstance(value, Mapping):
        spoken = [value[name] for name in ("content", "value", "text") if isinstance(value.get(name), str)]
        rest = {key for key, inner in value.items() if not is_blank(inner)} - {
            "content",
            "value",
            "text",
            "role",
            "from",
        }
        return len(spoken) == 1 and not rest and spoken[0].strip() in said
    if isinstance(value, list | tuple):
        return all(not isinstance(one, str) and _is_repetition(one, said) for one in value)
    return False
