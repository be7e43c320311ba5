"""Nectar (Zhu et al. 2023): a prompt as an HH-RLHF transcript, seven answers with ranks, 1 = best; equals tie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison
from assent.data.rows import Row
from assent.data.sources import asked, ranked, turns
from assent.data.sources.format import Format
from assent.data.values import is_blank, number


def comparisons(row: Row) -> list[Comparison]:
    """The answers of a row in the order of their ranks."""
    prompt = turns.prompt(row, asked.prompt(row))
    texts, ranks, models = {}, {}, {}
    for place, value in enumerate(row.listed("answers")):
        name = str(place + 1)
        if not isinstance(value, Mapping):
            raise row.error(f"answers[{place}] should be an object with answer and rank, got {type(value).__name__}")
        rank = number(value.get("rank"))
        if rank is None:
            raise row.error(f"answers[{place}].rank is {value.get('rank')!r}; it should be a number, 1 = best")
        others = (key for key, said in value.items() if key not in ("answer", "rank", "model") and not is_blank(said))
        row.tally.ignore(*(f"answers.{key}" for key in others))
        texts[name] = row.spoken(value.get("answer", ""), f"answers[{place}].answer")
        ranks[name], models[name] = rank, str(value.get("model") or "")
    if len(texts) < 2:
        raise row.error("'answers' holds 1 answer; a ranking needs at least two")
    tiers = [[name for name in ranks if ranks[name] == level] for level in sorted(set(ranks.values()))]
    return [ranked.judged(row, prompt, texts, ranked.Verdict("nectar", tiers), models)]


def _matches(values: Mapping[str, Any]) -> bool:
    answers = values.get("answers")
    return turns.is_messages(answers) and all({"answer", "rank"} <= answer.keys() for answer in answers or ())


FORMAT = Format(
    name="nectar",
    columns="prompt, answers [{answer, rank}]",
    matches=_matches,
    comparisons=comparisons,
    ignores=frozenset({"turns", "num_responses", "good_natured"}),
)
