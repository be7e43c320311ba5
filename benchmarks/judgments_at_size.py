"""A store with N judgments: `python benchmarks/judgments_at_size.py --judgments 100000 1000000 --stores postgresql`.

Fills a store by bulk SQL (so that it holds what the service would have written, but nobody waits for 10M requests),
then measures through the store's own methods what a rater and an administrator wait for: the next task (p50, p95), the
first look at the dashboard and the next one after a judgment, how far a rater is (counted, and moved on from a count),
what the pages of people and of the arena read, and a snapshot. Half of the judgments are second opinions, given over a
year; one task waits for every twenty judgments; from 200,000 judgments on each rater has given 10,000. The rows are
synthetic. Memory is that of this process, not of the database server.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import resource
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from crowd_servers import postgres, sqlite
from sqlalchemy import Engine, text
from sqlalchemy.schema import CreateIndex, DropIndex

from assent.core.types import Judgment, Ranking
from assent.feedback.dashboard import Watch
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect
from assent.feedback.tables.queue import Table
from assent.web.admin.arena import MOST

STORES: dict[str, Callable[..., AbstractContextManager[str]]] = {"sqlite": sqlite, "postgresql": postgres}
QUEUE = Queue("size")
NOW = 1_800_000_000.0
SPAN = 365 * 86_400.0
"""Seconds over which the judgments came in, up to NOW."""
OVERLAP = 2
BLOCK = 500_000
"""Judgments that one statement writes."""


@dataclass(frozen=True)
class Size:
    """How much a store holds."""

    judgments: int

    @property
    def judged(self) -> int:
        """Tasks that are judged, each by OVERLAP raters."""
        return self.judgments // OVERLAP

    @property
    def tasks(self) -> int:
        """All tasks: those that wait come last."""
        return self.judged + self.judgments // 20

    @property
    def raters(self) -> int:
        """Raters; each judged the same number."""
        return max(20, self.judgments // 10_000)


def main() -> None:
    """Fill and measure each size on each kind of database, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgments", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--stores", nargs="+", choices=sorted(STORES), default=sorted(STORES))
    parser.add_argument("--served", type=int, default=200, help="next tasks that are asked for")
    parser.add_argument("--folder", type=Path, help="where the SQLite file is made")
    given = parser.parse_args()
    for name in given.stores:
        found = []
        for judgments in given.judgments:
            with (
                tempfile.TemporaryDirectory(dir=given.folder) as folder,
                STORES[name](Path(folder), is_durable=False) as url,
            ):
                found.append(measured(url, Size(judgments), served=given.served))
            figures = ", ".join(f"{what} {figure:,.3f}" for what, figure in found[-1].items())
            print(f"{name} (bulk-filled): {figures}", flush=True)
        for what in ("next p95", "dashboard", "snapshot"):
            slope = exponent(given.judgments, [one[what] for one in found])
            print(f"{name}: {what} grows as N^{slope:.2f}", flush=True)


def measured(url: str, size: Size, *, served: int) -> dict[str, float]:
    """Seconds (next task in milliseconds, memory in MiB of this process) of everything, after filling the store."""
    began = time.perf_counter()
    Store.open(url).close()
    fill(url, size)
    result = {"judgments": size.judgments, "fill": time.perf_counter() - began}
    with Store.open(url, seed=1) as store:
        for name in ("next", "next again"):  # raters who come the first time, and the same once more
            waits = sorted(waits_for_next(store, size, served))
            result |= {f"{name} p50": waits[len(waits) // 2], f"{name} p95": waits[math.ceil(0.95 * len(waits)) - 1]}
        watch = Watch(store, url, rest=0.0)
        result["dashboard"] = seconds(lambda: watch.overview("size", now=NOW))
        result["dashboard again"] = seconds(lambda: watch.overview("size", now=NOW))
        judge_one(store, size)
        result["dashboard after a judgment"] = seconds(lambda: watch.overview("size", now=NOW + 60))
        then = store.rater_progress(rater_id(1), QUEUE, now=NOW + 90)
        result["progress"] = seconds(lambda: store.rater_progress(rater_id(2), QUEUE, now=NOW + 90))
        result["progress moved on"] = seconds(lambda: store.rater_progress(rater_id(1), QUEUE, now=NOW + 91, then=then))
        result["people"] = seconds(store.listing.activity)
        result["arena"] = seconds(lambda: store.listing.newest_comparisons(QUEUE, limit=MOST))
        result["MiB before snapshot"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        result["snapshot"] = seconds(lambda: store.snapshot("at-size", QUEUE, now=NOW))
        result["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def waits_for_next(store: Store, size: Size, count: int) -> list[float]:
    """Milliseconds that raters wait for one task each; what they get is given back, so that the next is a new one."""
    waits = []
    for i in range(count):
        rater = rater_id((i * 7) % size.raters)
        waits.append(1000 * seconds(partial(store.serve, rater, QUEUE, now=NOW + i)))
        store.release(rater)
    return waits[min(5, count // 2) :]  # the first ones open connections


def judge_one(store: Store, size: Size) -> None:
    """Submit what a rater was served."""
    served = store.serve(rater_id(0), QUEUE, now=NOW + 30)[0]
    ranking = Ranking(tiers=tuple((one.id,) for one in served.task.completions))
    said = Judgment(task_id=served.task.id, rater_id=rater_id(0), ranking=ranking, seconds=9.0, id=str(uuid.uuid4()))
    store.submit(said, token=served.token, now=NOW + 31)


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The slope of log time over log size; nan for one size."""
    if len(sizes) < 2:
        return math.nan
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def rater_id(n: int) -> str:
    """The id of rater n."""
    return f"rater-{n:06d}"


# Filling. {series} is a table `s` with the numbers `n` from :low to :high - 1. Ids are hashes, as real ones are.
_RATERS = """INSERT INTO rater (id, kind, created_at) SELECT {rater_n}, 'simulated', 0 FROM {series}"""
_ATTRIBUTES = """INSERT INTO rater_attribute (rater_id, name, value)
SELECT {rater_n}, 'language', CASE WHEN n % 4 = 0 THEN 'de' ELSE 'en' END FROM {series}"""
_PROMPTS = """INSERT INTO prompt (hash, id, messages, meta) SELECT md5('p' || n), 'p-' || md5('p' || n),
{json}('[{{"role": "user", "content": "Question ' || n || ': what would you do with a green guitar?"}}]'),
{json}('{{"topic": "t' || (n % 7) || '"}}') FROM {series}"""
_RESPONSES = """INSERT INTO response (hash, id, prompt_hash, text, text_hash, source, is_finished, meta)
SELECT md5('r{k}' || n), 'r{k}-' || md5('p' || n), md5('p' || n),
'Answer {k} to question ' || n || ': one could play it, keep it or give it away to a friend who has none.',
md5('t{k}' || n), 'model-{k}', {true}, {json}('{{}}') FROM {series}"""
_TASKS = """INSERT INTO task (id, project, prompt_hash, kind, purpose, priority, content_hash, meta, created_at)
SELECT 't-' || md5('p' || n), 'size', md5('p' || n), 'rank', 'reward', 0, md5('c' || n), {json}('{{}}'), 0
FROM {series}"""
_TASK_RESPONSES = """INSERT INTO task_response (task_id, response_hash, n)
SELECT 't-' || md5('p' || n), md5('r{k}' || n), {k} FROM {series}"""
_SLOTS = """INSERT INTO slot (id, task_id, n, project, purpose, place, is_filled, reserved_for, service)
SELECT {first} + 1 + n * {overlap} + {k}, 't-' || md5('p' || ({task} + n)), {k}, 'size', 'reward', 0, {filled},
NULL, 'normal' FROM {series}"""
_LEASES = """INSERT INTO lease (slot_id, task_id, rater_id, token, expires_at, is_spent)
SELECT 1 + n * {overlap} + {k}, 't-' || md5('p' || n), {rater_of}, md5('l{k}' || n), {at} + 900, {true} FROM {series}"""
_PRESENTATIONS = """INSERT INTO presentation (id, task_id, rater_id, order_shown, shown_at, propensity, activity)
SELECT 1 + n * {overlap} + {k}, 't-' || md5('p' || n), {rater_of},
{json}('["r0-' || md5('p' || n) || '", "r1-' || md5('p' || n) || '"]'), {at} - 20, 0.000001, {json}('{{}}')
FROM {series}"""
_JUDGMENTS = """INSERT INTO judgment (id, task_id, rater_id, project, purpose, slot_id, outcome, ranking, flags, scores,
notes, edits, seconds, presentation_id, content_hash, submitted_at, number)
SELECT md5('j{k}' || n), 't-' || md5('p' || n), {rater_of}, 'size', 'reward', 1 + n * {overlap} + {k}, 'ranked',
{json}('{{"tiers": [["r' || {won} || '-' || md5('p' || n) || '"],
["r' || (1 - {won}) || '-' || md5('p' || n) || '"]]}}'),
{json}('{{}}'), {json}('{{}}'), {json}('[]'), {json}('{{}}'), 8 + n % 20, 1 + n * {overlap} + {k},
md5('h{k}' || n), {at}, 1 + n * {overlap} + {k} FROM {series}"""
_ORDERED = (_PROMPTS, _RESPONSES, _TASKS, _TASK_RESPONSES)
_SAID = (_SLOTS, _LEASES, _PRESENTATIONS, _JUDGMENTS)


def fill(url: str, size: Size) -> None:
    """Write everything, with the indexes built afterwards as a database does it fastest."""
    engine = connect(url)
    is_sqlite = engine.dialect.name == "sqlite"
    words: dict[str, Any] = {
        "json": "" if is_sqlite else "to_json_of",
        "true": "1" if is_sqlite else "true",
        "overlap": OVERLAP,
        "at": f"({NOW} - {SPAN} + {SPAN} * n / {size.judged})",
        "rater_n": "'rater-' || " + padded("n", is_sqlite),
        "series": _series(is_sqlite),
    }
    with _without_indexes(engine):
        _write(engine, ["INSERT INTO project (name, created_at) VALUES ('size', 0)"], 1, words)
        _write(engine, [_RATERS, _ATTRIBUTES], size.raters, words)
        for statement in _ORDERED:
            _write(
                engine, [statement.replace("{k}", str(k)) for k in range(1 + ("{k}" in statement))], size.tasks, words
            )
        for k in range(OVERLAP):
            rater_of = "'rater-' || " + padded(f"(n + {k} * {size.raters // OVERLAP}) % {size.raters}", is_sqlite)
            more = {"k": k, "rater_of": rater_of, "first": 0, "task": 0, "filled": words["true"]}
            more["won"] = f"(CASE WHEN (n * 7 + {k} * 3) % 10 < 7 THEN 0 ELSE 1 END)"
            _write(engine, _SAID, size.judged, words | more)
        more = {"k": 0, "overlap": 1, "first": size.judgments, "task": size.judged}
        more["filled"] = "0" if is_sqlite else "false"
        _write(engine, [_SLOTS], size.tasks - size.judged, words | more)
        last = f"UPDATE last_number SET number = {size.judged * OVERLAP}"
        _write(engine, [last, *([] if is_sqlite else _SEQUENCES)], 1, words)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE" if is_sqlite else "VACUUM ANALYZE"))  # as autovacuum does it on the way
    engine.dispose()


_SEQUENCES = [
    f"SELECT setval(pg_get_serial_sequence('{t}', 'id'), (SELECT max(id) FROM {t}))" for t in ("slot", "presentation")
]


def padded(number: str, is_sqlite: bool) -> str:
    """SQL for a number in six digits."""
    return f"printf('%06d', {number})" if is_sqlite else f"lpad(({number})::text, 6, '0')"


def _series(is_sqlite: bool) -> str:
    if is_sqlite:
        counted = "WITH RECURSIVE c(n) AS (SELECT {low} UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {high})"
        return f"({counted} SELECT n FROM c) AS s"
    return "generate_series({low}, {high} - 1) AS s(n)"


def _write(engine: Engine, statements: Sequence[str], count: int, words: dict[str, Any]) -> None:
    for statement in statements:
        for low in range(0, count, BLOCK):
            series = words["series"].format(low=low, high=min(low + BLOCK, count))
            with engine.begin() as connection:
                _prepare(connection, engine.dialect.name)
                connection.exec_driver_sql(
                    statement.format(**{**words, "series": series}).replace("%", _percent(engine))
                )


def _percent(engine: Engine) -> str:
    return "%" if engine.dialect.name == "sqlite" else "%%"


def _prepare(connection: Any, dialect: str) -> None:
    """Foreign keys are not checked while filling; `md5` and JSON from text are there on both."""
    if dialect == "sqlite":
        raw: sqlite3.Connection = connection.connection.driver_connection
        raw.create_function("md5", 1, lambda one: hashlib.md5(str(one).encode()).hexdigest(), deterministic=True)
        return
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION to_json_of(text) RETURNS json LANGUAGE sql IMMUTABLE AS 'SELECT $1::json'"
    )


@contextmanager
def _without_indexes(engine: Engine) -> Iterator[None]:
    """Drop the indexes that are no constraints, and make them again at the end."""
    indexes = [index for table in Table.metadata.sorted_tables for index in table.indexes]
    with engine.begin() as connection:
        for index in indexes:
            connection.execute(DropIndex(index))
    yield
    for index in indexes:
        with engine.begin() as connection:
            connection.execute(CreateIndex(index))


if __name__ == "__main__":
    main()
