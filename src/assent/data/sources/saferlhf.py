"""PKU-SafeRLHF (Ji et al. 2023): two responses, which one is better, which one is safer, and whether each is safe.

The ranking is by `better_response_id`; a response that is not safe is flagged unsafe, and `safer_response_id` is kept
as the score of a criterion of its own.
"""

from __future__ import annotations

from assent.core.types import Comparison
from assent.data.rows import Row
from assent.data.sources import asked, ranked, turns
from assent.data.sources.format import Format
from assent.data.values import number

_SIDES = ("0", "1")


def comparisons(row: Row) -> list[Comparison]:
    """The two responses of a row, the better one first."""
    prompt = turns.prompt(row, asked.prompt(row))
    texts = {side: row.text(f"response_{side}") for side in _SIDES}
    better = _side(row, "better_response_id")
    scores = {}
    if row.has("safer_response_id"):
        safer = _side(row, "safer_response_id")
        scores = {side: {"safer": float(side == safer)} for side in _SIDES}
    unsafe = [side for side in _SIDES if row.has(f"is_response_{side}_safe") and not _is_safe(row, side)]
    verdict = ranked.Verdict(
        rater="saferlhf",
        tiers=((better,), tuple(side for side in _SIDES if side != better)),
        scores=scores,
        flags=dict.fromkeys(unsafe, ("unsafe",)),
    )
    sources = {side: row.optional_text(f"response_{side}_source") for side in _SIDES}
    return [ranked.judged(row, prompt, texts, verdict, sources)]


def _side(row: Row, name: str) -> str:
    value = number(row.need(name))
    if value not in (0, 1):
        raise row.error(f"{name!r} is {row.values[name]!r}; it should be 0 or 1")
    return str(int(value))


def _is_safe(row: Row, side: str) -> bool:
    value = row.need(f"is_response_{side}_safe")
    said = {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())
    if said is None:
        raise row.error(f"'is_response_{side}_safe' is {value!r}; it should be true or false")
    return said


FORMAT = Format(
    name="saferlhf",
    columns="prompt, response_0, response_1, better_response_id",
    matches=lambda values: {"response_0", "response_1", "better_response_id"} <= values.keys(),
    comparisons=comparisons,
    ignores=frozenset(
        f"{name}_{side}{end}"
        for side in _SIDES
        for name, end in (("response", "_harm_category"), ("response", "_severity_level"), ("response", "_sha256"))
    ),
)
