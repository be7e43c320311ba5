"""What another format does not hold is what its report counts, held against the tables of a store."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from full_store import STUDY, Filler, studies
from hypothesis import HealthCheck, given, settings

from assent.core.errors import DataError
from assent.data.exports import EXPORTS, OWN, encode
from assent.feedback.exporting import gather, those_who_said
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store

_JUDGED = """
SELECT j.*, p.propensity, p.guideline_id, p.id AS seen, p.order_shown, s.service, t.id AS task,
       json_extract(t.meta, '$.repeat_of') AS again,
       (SELECT count(*) FROM task_response r WHERE r.task_id = t.id) AS answers,
       (SELECT count(*) FROM judgment_event e WHERE e.judgment_id = j.id) AS events
FROM judgment j JOIN task t ON t.id = j.task_id LEFT JOIN presentation p ON p.id = j.presentation_id
LEFT JOIN slot s ON s.id = j.slot_id WHERE j.superseded_by IS NULL"""
_PAIRED = ("trl", "trl_implicit", "trl_plain", "hh")
_KEEPS = {
    "ultrafeedback": {"scores"},
    "argilla": {"raters", "critiques"},
    "label_studio": {"raters", "critiques", "reading times"},
    "csv": {
        "raters",
        "strengths",
        "critiques",
        "notes",
        "flags",
        "scores",
        "edits",
        "reading times",
        "orders of display",
        "records of a judge's margins",
    },
}


class Held:
    """What a store holds, read from its file."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row

            def count(query: str) -> int:
                return int(connection.execute(f"SELECT count(*) FROM {query}").fetchone()[0])

            rows = [dict(row) for row in connection.execute(_JUDGED)]
            self.tables = {
                "decisions of adjudicators dropped": count("adjudication"),
                "known answers of tasks dropped": count("gold"),
                "judgments that were corrected later dropped": count("judgment WHERE superseded_by IS NOT NULL"),
                "tasks that nobody judged dropped": count("task WHERE id NOT IN (SELECT task_id FROM judgment)"),
                "texts of guidelines dropped": count("guideline_version"),
                "kinds of raters that are no people dropped": min(1, count("judgment WHERE rater_id = 'robot'")),
            }
        said = [row for row in rows if row["outcome"] != "skipped" and row["again"] is None]
        edited = {r["task"] for r in said for text in json.loads(r["edits"]).values() if text.strip()}
        self.whole = [row for row in said if row["answers"] > 1 or row["task"] in edited]
        self.ranked = [row for row in self.whole if row["outcome"] == "ranked"]
        odd = ("gold", "made", "repeat")
        self.tables |= {
            "skips dropped": sum(row["outcome"] == "skipped" and row["again"] is None for row in rows),
            "judgments of tasks that were asked again dropped": sum(row["again"] is not None for row in rows),
            "judgments of single answers dropped: there is nothing to compare": len(said) - len(self.whole),
            "kinds, dates and states of tasks dropped": len({row["task"] for row in self.whole}),
            "times of judgments dropped": len(self.whole),
            "propensities dropped": sum(row["propensity"] is not None for row in self.whole),
            "versions of the guideline that were read dropped": sum(r["guideline_id"] is not None for r in self.whole),
            "accounts of how tasks were seen dropped": sum(
                r["seen"] is not None or r["service"] in odd or r["slot_id"] is None or r["events"] > 0
                for r in self.whole
            ),
        }

    def tiers(self) -> list[list[int]]:
        """Sizes of the tiers of every ranking."""
        return [[len(tier) for tier in json.loads(row["ranking"])["tiers"]] for row in self.ranked]

    def spoken(self) -> dict[str, int]:
        """What the judgments say besides their order."""
        found: Counter[str] = Counter()
        for row in self.whole:
            ranking = json.loads(row["ranking"]) if row["ranking"] else {}
            found["strengths"] += sum(one is not None for one in ranking.get("strengths") or ())
            found["critiques"] += row["critique"] is not None
            found["reading times"] += row["seconds"] is not None
            found["notes"] += len(json.loads(row["notes"]))
            found["flags"] += sum(map(len, json.loads(row["flags"]).values()))
            found["scores"] += sum(map(len, json.loads(row["scores"]).values()))
            found["edits"] += len(json.loads(row["edits"]))
            found["records of a judge's margins"] += bool(json.loads(row["details"] or "{}"))
            found["orders of display"] += bool(json.loads(row["order_shown"] or "[]"))
        found["raters"] = len({row["rater_id"] for row in self.whole})
        return dict(found)


def check(format: str, held: Held, rows: list[Any], losses: dict[str, int]) -> None:
    """Hold one file against the store."""
    expected = {name: count for name, count in held.tables.items() if count}
    spoken = held.spoken()
    if format != "edits":
        kept = _KEEPS.get(format, set())
        expected |= {f"{name} dropped": n for name, n in spoken.items() if n and name not in kept}
    if format not in ("csv", "edits"):
        unranked = len(held.whole) - len(held.ranked)
        expected |= {"judgments without a ranking dropped": unranked} if unranked else {}
    if format in _PAIRED:
        pairs = sum(sum(sizes) * (sum(sizes) - 1) // 2 for sizes in held.tiers())
        ties = sum(size * (size - 1) // 2 for sizes in held.tiers() for size in sizes)
        expected |= {"ties dropped": ties} if ties else {}
        assert len(rows) == pairs - ties
    elif format in ("ultrafeedback", "oasst"):
        assert len(rows) == len(held.ranked)
    elif format in ("argilla", "label_studio"):
        expected |= {"raters renamed": len({row["rater_id"] for row in held.ranked})}
        assert len(rows) == len({row["task"] for row in held.ranked})
    elif format == "csv":
        assert sorted(row["judgment"] for row in rows) == sorted(row["id"] for row in held.whole)
        assert sum(row["critique"] != "" for row in rows) == spoken.get("critiques", 0)
    if format == "edits":
        losses = {name: n for name, n in losses.items() if name in held.tables}
    assert losses == expected


def parsed(content: bytes, ending: str) -> list[Any]:
    """The rows of a file."""
    text = content.decode("utf-8-sig")
    if ending == ".csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return json.loads(text) if ending == ".json" else [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(studies())
def test_every_other_format_reports_exactly_what_is_missing(empty: Path, study: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "store.db"
        shutil.copy(empty, path)
        with Store.open(f"sqlite:///{path}", seed=study["seed"]) as store:
            Filler(store, study).fill()
            leaving = gather(store, Queue(STUDY, study["purpose"]))
            raters = those_who_said(store, attributes=False)
        held = Held(path)
        for format, form in EXPORTS.items():
            if format == OWN:
                _, report = encode(leaving, format, "x.jsonl", raters=raters)
                assert report.losses == {}
                continue
            try:
                content, report = encode(leaving, format, f"x{form.ending}", raters=raters)
            except DataError as nothing:
                assert str(nothing).startswith(f"x{form.ending}: nothing to write as {format}: ")
                has_order = any(len(sizes) > 1 for sizes in held.tiers())
                assert format == "edits" or not (held.whole if format == "csv" else has_order)
                continue
            check(format, held, parsed(content, form.ending), report.losses)
