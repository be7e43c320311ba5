"""HelpSteer 2 and 3 (Wang et al. 2024, 2025): pairs with a preference from -3 to 3, or scored answers one by one.

`overall_preference` (`preference_strength` in HelpSteer 2) below 0 prefers the first response, above 0 the second; 1, 2
and 3 are strengths 1 (slightly), 2 and 4 (much better). Rows of one response each are ordered by `helpfulness` among
those of the same prompt; all five attributes are kept as scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assent.core.types import Comparison
from assent.data.rows import BadRow, Row
from assent.data.sources import asked, ranked, transcripts, turns
from assent.data.sources.format import Format
from assent.data.sources.groups import by_prompt
from assent.data.values import is_said, number

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_PREFERENCES = ("overall_preference", "preference_strength")
_PAIRS = (("response1", "response2"), ("response_1", "response_2"))
_STRENGTHS = {1: 1, 2: 2, 3: 4}
_RATER = "helpsteer"


def pairs(row: Row) -> list[Comparison]:
    """The two responses of a row with the preference between them."""
    prompt = turns.prompt(row, _context(row))
    names = next((pair for pair in _PAIRS if row.has(*pair)), _PAIRS[0])
    texts = {name: row.text(name) for name in names}
    column = next((name for name in _PREFERENCES if row.has(name)), _PREFERENCES[0])
    value = number(row.need(column))
    if value is None or value not in range(-3, 4):
        raise row.error(f"{column!r} is {row.values[column]!r}; it should be a whole number from -3 to 3")
    first, second = names
    if value == 0:
        verdict = ranked.Verdict(_RATER, (names,))
    else:
        tiers = ((first,), (second,)) if value < 0 else ((second,), (first,))
        verdict = ranked.Verdict(_RATER, tiers, strengths=(_STRENGTHS[abs(int(value))],))
    return [ranked.judged(row, prompt, texts, verdict)]


def scored(row: Row) -> list[Comparison]:
    """Answers of one prompt with their scores, as `together` lays them side by side."""
    prompt = turns.prompt(row, asked.prompt(row))
    texts, scores = {}, {}
    for number_of, answer in enumerate(row.need("scored"), start=1):
        texts[str(number_of)] = row.spoken(answer["response"], "response")
        scores[str(number_of)] = answer["scores"]
    levels = sorted({given["helpfulness"] for given in scores.values()}, reverse=True)
    tiers = [[name for name, given in scores.items() if given["helpfulness"] == level] for level in levels]
    return [ranked.judged(row, prompt, texts, ranked.Verdict(_RATER, tiers, scores=scores))]


def together(rows: Sequence[Row]) -> Iterator[Row | BadRow]:
    """Rows of one response each as one row per prompt."""
    for group in by_prompt(rows, _answer):
        if isinstance(group, BadRow):
            yield group
            continue
        row, answers = group
        if len(answers) < 2:
            reason = "the only response to its prompt; a comparison needs two, skip such rows with skip_bad"
            yield BadRow(row.error(reason), dict(row.raw or row.values))
            continue
        yield row.with_values({**{n: v for n, v in row.values.items() if n != "response"}, "scored": answers})


def _answer(row: Row) -> dict[str, Any]:
    row.need("helpfulness")
    scores = {}
    for name in ATTRIBUTES:
        if not row.has(name):
            continue
        value = number(row.need(name))
        if value is None:
            raise row.error(f"{name!r} is {row.values[name]!r}; it should be a number")
        scores[name] = value
    return {"response": row.text("response"), "scores": scores}


def _context(row: Row) -> Any:
    value = row.values.get("context")
    if not is_said(value):
        return asked.prompt(row)
    row.need("context")
    if turns.is_messages(value):
        return turns.messages(row, value, "context")
    return transcripts.asked(row, row.text("context"), "context")


def _holds_pair(values: Mapping[str, Any]) -> bool:
    return any(set(pair) <= values.keys() for pair in _PAIRS) and any(name in values for name in _PREFERENCES)


PREFERENCES = Format(
    name="helpsteer",
    columns="context | prompt, response1, response2, overall_preference",
    matches=_holds_pair,
    comparisons=pairs,
    ignores=frozenset(
        [
            "individual_preference",
            "preference_statement",
            "preference_elaboration",
            "three_most_similar_preferences",
            "all_preferences_unprocessed",
            "feedback1",
            "feedback2",
        ]
    ),
)
SCORED = Format(
    name="helpsteer",
    columns="prompt, response, helpfulness",
    matches=lambda values: {"prompt", "response", "helpfulness"} <= values.keys(),
    comparisons=scored,
    regroup=together,
    gives_prompts=False,
)
