"""Writing comparisons for other programs: TRL preferences (plain, conversational) and HH-RLHF transcripts.

Both hold pairs only, so a ranking becomes all its pairs. What such a file cannot say is counted in the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core.errors import DataError
from assent.core.files import write_bytes
from assent.core.types import Comparison, Judgment, Message
from assent.data.formats import json_lines, parquet_bytes
from assent.data.sources.hh import MARK

_HH_NAMES = {"user": "Human", "assistant": "Assistant"}


@dataclass(frozen=True)
class WriteReport:
    """How many pairs were written, and what the format could not hold."""

    rows: int
    losses: Mapping[str, int]
    """What was lost or changed, in words, and how often."""

    def lines(self) -> list[str]:
        """The report in words."""
        return [f"wrote {self.rows} pairs", *(f"{loss}: {count}" for loss, count in self.losses.items() if count)]


def write_trl(path: Path, comparisons: Iterable[Comparison], *, conversational: bool = True) -> WriteReport:
    """Write prompt/chosen/rejected rows, as messages or as plain text, to .jsonl, .jsonl.gz or .parquet.

    Plain text holds only prompts of one user turn; others are dropped and counted.
    """
    losses: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    for comparison, chosen, rejected in _pairs(comparisons, losses):
        turns = comparison.prompt.messages
        if conversational:
            rows.append(
                {
                    "prompt": [_plain(turn) for turn in turns],
                    "chosen": [{"role": "assistant", "content": chosen}],
                    "rejected": [{"role": "assistant", "content": rejected}],
                }
            )
        elif len(turns) > 1 or turns[0].role != "user":
            losses["pairs dropped: the prompt has several turns or a system turn (write conversational rows)"] += 1
        else:
            rows.append({"prompt": turns[0].content, "chosen": chosen, "rejected": rejected})
    return _write(path, rows, losses)


def write_hh(path: Path, comparisons: Iterable[Comparison]) -> WriteReport:
    """Write chosen/rejected transcripts as in HH-RLHF; a system turn is laid before the first human turn."""
    losses: Counter[str] = Counter()
    rows = []
    for comparison, chosen, rejected in _pairs(comparisons, losses):
        turns = _without_system(comparison.prompt.messages, losses)
        if any(MARK.search("\n\n" + text) for text in (chosen, rejected, *(turn.content for turn in turns))):
            losses["pairs dropped: a text holds 'Human:' or 'Assistant:' as if it were a turn"] += 1
            continue
        history = "".join(f"\n\n{_HH_NAMES[turn.role]}: {turn.content}" for turn in turns)
        rows.append(
            {side: f"{history}\n\nAssistant: {text}" for side, text in (("chosen", chosen), ("rejected", rejected))}
        )
    return _write(path, rows, losses)


def _write(path: Path, rows: list[dict[str, Any]], losses: Counter[str]) -> WriteReport:
    if not rows:
        raise DataError("nothing to write: no comparison holds a pair this format can express", path=path)
    if path.name.endswith(".parquet"):
        content = parquet_bytes({name: [row[name] for row in rows] for name in rows[0]})
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        content, _ = json_lines(path, rows)
    else:
        raise DataError("unknown ending; choose .jsonl, .jsonl.gz or .parquet", path=path)
    write_bytes(path, content)
    return WriteReport(len(rows), dict(losses))


def _pairs(comparisons: Iterable[Comparison], losses: Counter[str]) -> Iterator[tuple[Comparison, str, str]]:
    """(comparison, better text, worse text) for every judgment's pairs; ties are counted as lost."""
    for comparison in comparisons:
        texts = {completion.id: completion.text for completion in comparison.completions}
        for judgment in comparison.judgments:
            _count_losses(judgment, losses)
            for better, worse, is_tie in judgment.ranking.pairs() if judgment.ranking else ():
                if is_tie:
                    losses["pairs dropped: ties"] += 1
                elif texts[better] == texts[worse]:
                    losses["pairs dropped: both answers have the same text"] += 1
                else:
                    yield comparison, texts[better], texts[worse]


def _count_losses(judgment: Judgment, losses: Counter[str]) -> None:
    losses["judgments without a ranking dropped"] += judgment.ranking is None
    losses["rankings of more than two answers written as their pairs"] += bool(
        judgment.ranking and len(judgment.ranking.ids) > 2
    )
    losses["judgments whose rater is not written"] += 1
    losses["strengths not written"] += bool(judgment.ranking and any(judgment.ranking.strengths or ()))
    losses["critiques not written"] += judgment.critique is not None
    losses["flags, scores or edits not written"] += bool(judgment.flags or judgment.scores or judgment.edits)


def _without_system(turns: tuple[Message, ...], losses: Counter[str]) -> tuple[Message, ...]:
    system = [turn.content for turn in turns if turn.role == "system"]
    others = [turn for turn in turns if turn.role != "system"]
    if not system or not others:
        return tuple(others)
    losses["system turns laid before the first human turn"] += 1
    first = Message(role=others[0].role, content="\n\n".join([*system, others[0].content]))
    return (first, *others[1:])


def _plain(turn: Message) -> dict[str, str]:
    return {"role": turn.role, "content": turn.content}
