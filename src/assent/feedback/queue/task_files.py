"""Tasks from a file of prompts with their answers, as JSON lines; everything is checked before anything is queued.

    {"prompt": "Why?", "answers": ["Because …", "It is …", "…"]}
    {"prompt": [{"role": "user", "content": "Why?"}], "answers": [{"text": "…", "source": "model a"}, {"text": "…"}],
     "language": "de", "topic": "science", "id": "q-17", "gold": "2 > 1"}
    {"id": "t-…", "prompt": {"messages": […]}, "completions": […]}                  tasks as a run writes them

`tools` lists what the prompt may call. Every other short column (language, topic …) becomes meta of the prompt, by
which agreement is shown in slices. `gold` is the known order of the answers by their numbers, from 1, best first, ties
with "=". A .csv or .tsv has the columns prompt, answer 1, answer 2, … and those others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from assent.core.errors import DataError, StoreError
from assent.core.garbage import spared
from assent.core.hashing import hash_json, short
from assent.core.problems import first_problem
from assent.core.types import MAX_ANSWERS, Completion, Message, Prompt, Purpose, Ranking, Task, TaskKind
from assent.data import cells
from assent.data.rows import Row
from assent.data.sources import columns, turns
from assent.data.tables import Torn, table_rows
from assent.feedback.queue.tasks import refuse_nul, task_content

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_JUDGED = frozenset({"ranking", "rater"})
_COLUMNS = frozenset({"prompt", "answers", "completions", "id", "gold", "kind", "purpose", "project"})


@dataclass(frozen=True)
class TaskFile:
    """What a file holds."""

    tasks: tuple[Task, ...]
    gold: Mapping[str, Ranking] = field(default_factory=dict)
    """Task id -> known order."""
    repeated: int = 0
    """Lines that ask what an earlier line asks."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Task id -> the last line that asks it."""
    name: str = ""
    judged: int = 0
    """Lines with a ranking that somebody gave already; it is not taken over, the answers are asked anew."""

    def refuse(self, wrong: Mapping[str, str]) -> None:
        """Raise DataError with the line of the first task with which something is wrong, by id."""
        found = min(wrong, key=lambda task_id: self.lines[task_id], default=None)
        if found is not None:
            raise DataError(wrong[found], path=self.name, line=self.lines[found])


def parse_tasks(
    content: bytes, *, name: str, project: str, purpose: Purpose = "reward", kind: TaskKind = "rank"
) -> TaskFile:
    """The tasks of a file. Raises DataError with the line of the first thing that cannot be used."""
    tasks: dict[str, Task] = {}
    lines: dict[str, int] = {}
    judged = 0
    gold: dict[str, Ranking] = {}
    repeated = 0
    with spared() as settle:
        for row in _rows(content, name):
            task = _task(row, project=project, purpose=purpose, kind=kind)
            judged += _is_judged(row)
            if task.id in tasks:
                if tasks[task.id] != task:
                    raise row.error(
                        f"the id {task.id!r} stands on line {lines[task.id]} with other content; give it another"
                    )
                repeated += 1
            tasks[task.id] = task
            lines.setdefault(task.id, row.line)
            if row.has("gold"):
                known = _gold(row, task)
                if gold.setdefault(task.id, known) != known:
                    raise row.error(f"the id {task.id!r} stands on line {lines[task.id]} with another 'gold'; keep one")
            if len(tasks) % 1000 == 0:
                settle()
    if not tasks:
        raise DataError(
            "the file holds no task; write one JSON object per line, with 'prompt' and 'answers'", path=name
        )
    return TaskFile(tuple(tasks.values()), gold, repeated, lines, name, judged)


def _rows(content: bytes, name: str) -> Iterator[Row]:
    if name.lower().endswith((".csv", ".tsv")):
        return _table(content, name)
    return _lines(content, name)


def _table(content: bytes, name: str) -> Iterator[Row]:
    """Rows of a table: prompt, and a column for each answer whose name begins with `answer`; id where there is one."""
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True), start=1)
    for number, fields in table_rows(Path(name), lines):
        if isinstance(fields, Torn):
            raise fields.error
        said = {column: cells.read(value) for column, value in fields.items() if value is not None}
        answers = [value for column, value in said.items() if column.lower().startswith("answer")]
        rest = {column: value for column, value in said.items() if not column.lower().startswith("answer")}
        yield Row({**rest, "answers": answers}, name, number)


def _lines(content: bytes, name: str) -> Iterator[Row]:
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if not raw.strip():
            continue
        try:
            values = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"not UTF-8 (byte {error.start + 1}); save the file as UTF-8", path=name, line=number
            ) from None
        except ValueError as error:
            where = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(f"not valid JSON: {where}; one object per line", path=name, line=number) from None
        except RecursionError:
            raise DataError("JSON nested too deeply", path=name, line=number) from None
        if not isinstance(values, dict):
            kind = type(values).__name__
            raise DataError(f"expected an object with 'prompt' and 'answers', got {kind}", path=name, line=number)
        if _HALF.search(raw) and not _is_text(values):
            raise DataError("a text holds half a character (a lone surrogate); save it anew", path=name, line=number)
        yield Row(values, name, number)


def _is_text(values: Any) -> bool:
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _task(row: Row, *, project: str, purpose: Purpose, kind: TaskKind) -> Task:
    try:
        if "completions" in row.values:
            task = Task.model_validate({**row.values, "project": project, "purpose": purpose})
        else:
            prompt = _prompt(row)
            answers = _answers(row, prompt)
            key = hash_json([project, purpose, prompt.id, sorted(a.id for a in answers)])
            own = row.values.get("id")
            task = Task(
                id="t-" + short(key) if own is None else str(own),
                prompt=prompt,
                completions=answers,
                kind="rate" if kind == "rank" and len(answers) == 1 else kind,
                purpose=purpose,
                project=project,
            )
        refuse_nul(task.id + task.model_dump_json(), where="the row")
        task_content(task)
    except StoreError as error:
        raise row.error(str(error)) from None
    except ValidationError as error:
        raise row.error(first_problem(error, Task)) from None
    except ValueError as error:  # NaN is JSON for Python only
        raise row.error(f"a text that cannot be stored: {error}") from None
    if not 1 <= len(task.completions) <= MAX_ANSWERS:
        raise row.error(f"{len(task.completions)} answers; a task shows 1 to {MAX_ANSWERS}")
    return task


def _is_judged(row: Row) -> bool:
    """Whether it is a row of rankings, as `assent import` reads them: what was said there is not shown to raters."""
    return isinstance(row.values.get("answers"), Mapping) and row.has("ranking")


def _prompt(row: Row) -> Prompt:
    value = row.need("prompt")
    if isinstance(value, Mapping) and "messages" in value:
        return Prompt.model_validate(value)
    row = replace(row, shared=frozenset(columns.TOOLS))
    asked = turns.messages(row, value, "prompt") if turns.is_messages(value) else None
    about = row.values.keys() - _COLUMNS - row.shared - (_JUDGED if _is_judged(row) else frozenset())
    meta = {key: found for key, found in row.values.items() if key in about and found is not None}
    return turns.prompt(row, asked or (Message(role="user", content=row.text("prompt")),), **meta)


def _answers(row: Row, prompt: Prompt) -> tuple[Completion, ...]:
    found = []
    given = row.need("answers")
    named = dict(given) if isinstance(given, Mapping) and given else None
    for number, value in enumerate(row.listed("answers") if named is None else named.values(), start=1):
        place = f"answers[{number}]" if named is None else f"answers.{[*named][number - 1]}"
        if isinstance(value, Mapping):
            text = row.spoken(value.get("text", ""), f"{place}.text")
            source = value.get("source", value.get("model", ""))
            rest = {k: v for k, v in value.items() if k not in ("text", "source", "model", "id") and v is not None}
            name = value.get("id")
            found.append(
                Completion(
                    prompt_id=prompt.id, text=text, source=str(source), id="" if name is None else str(name), meta=rest
                )
            )
        else:
            found.append(Completion(prompt_id=prompt.id, text=row.spoken(value, place)))
    texts = [answer.text for answer in found]
    twin = next((i for i, text in enumerate(texts) if text in texts[:i]), None)
    if twin is not None:
        raise row.error(f"answers {texts.index(texts[twin]) + 1} and {twin + 1} are the same text; remove one")
    return tuple(found)


def _gold(row: Row, task: Task) -> Ranking:
    ids = {str(n): completion.id for n, completion in enumerate(task.completions, start=1)}
    ids |= {completion.id: completion.id for completion in task.completions}
    value = row.values["gold"]
    tiers: Sequence[Any] = value
    if isinstance(value, str):
        tiers = [[name.strip() for name in tier.split("=")] for tier in value.split(">")]
    if not isinstance(tiers, list):
        raise row.error("'gold' should be an order such as \"2 > 1 = 3\"")
    named = [[str(name) for name in tier] if isinstance(tier, list) else [str(tier)] for tier in tiers]
    unknown = [name for tier in named for name in tier if name not in ids]
    if unknown:
        raise row.error(f"'gold' names answer {unknown[0]!r}; answers are numbered 1 to {len(task.completions)}")
    try:
        ranking = Ranking(tiers=tuple(tuple(ids[name] for name in tier) for tier in named))
    except ValidationError as error:
        raise row.error(f"'gold': {first_problem(error)}") from None
    if len(ranking.ids) != len(task.completions):
        raise row.error(f"'gold' places {len(ranking.ids)} of {len(task.completions)} answers; place each")
    return ranking
