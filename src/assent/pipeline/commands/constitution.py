"""`assent constitution check`: which principles conflict, never fire, or say the same, on real answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.artifacts.find import find_artifact
from assent.artifacts.jsonl import read_records
from assent.core import progress, seeds
from assent.core.config import read_yaml
from assent.core.errors import DataError, UserError
from assent.core.types import Comparison, Judgment, Task
from assent.data.config import Source
from assent.data.load import load_said
from assent.data.task_records import TaskRecord
from assent.evaluation.principles import PairMargins, principles_report
from assent.feedback.config import StoreConfig
from assent.feedback.queue.task_files import parse_tasks
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.models.config import ModelConfig
from assent.pipeline.autoraters import open_constitution
from assent.pipeline.backends import Backends, machine
from assent.pipeline.commands.feedback import StoreQueue
from assent.pipeline.config import ComputeConfig
from assent.pipeline.places import moved
from assent.raters.config import ConstitutionConfig
from assent.raters.constitution import Constitution, doubled_words
from assent.raters.margins import PairReading, pairs_in
from assent.raters.principles import MEAN, MeanJudge

_AT_ONCE = 32
Answers = Comparison | TaskRecord | Task


@dataclass(frozen=True)
class AnswersAsked:
    """The answers that principles are tried on, and who judges by them."""

    project: str | None = None
    """A project of the store."""
    store_url: str | None = None
    """None: feedback.db in this folder."""
    answers: Path | None = None
    """A file of prompts with several answers each, or samples or judgments of a run."""
    judge: str | None = None
    """A model's folder or hub id, "module:function", or a YAML with the settings of a backend."""
    most: int = 300
    """Tasks that are judged at most, drawn."""


def check(constitution: str, asked: AnswersAsked) -> Iterator[str]:
    """What a constitution says, and what its principles do on answers where some are given.

    Raises ConfigError for a bad file, UserError where answers or a judge are missing.
    """
    loaded = Constitution.load(constitution)
    yield f"{loaded.name}, version {loaded.version}: {len(loaded.principles)} principles, hash {loaded.hash[:12]}"
    yield from (f"warning: {line}" for line in doubled_words(loaded))
    if asked.project is not None and asked.answers is not None:
        raise UserError("give --project or --answers, not both")
    if asked.project is None and asked.answers is None:
        yield "what its principles do on answers was not tried; give --answers FILE or --project NAME"
        return
    tasks, said = found_answers(asked)
    tasks = [task for task in tasks if len(task.completions) > 1]
    if not tasks:
        raise UserError("there is no prompt with two answers or more to try the principles on")
    if asked.judge is None:
        rows = kept_margins(loaded, tasks, said)
        if not rows:
            raise UserError(
                f"nobody has judged these {len(tasks)} tasks by {loaded.name} with hash {loaded.hash[:12]} yet; say who"
                " shall: --judge MODEL, or --judge module:function"
            )
        yield f"from what was judged by it before: {len(rows)} pairs"
    else:
        drawn = sorted(tasks, key=lambda task: seeds.derive(0, "check", task.id))[: asked.most]
        if len(drawn) < len(tasks):
            yield f"{len(drawn)} of {len(tasks)} tasks are tried, drawn at random (--most)"
        rows, skipped = tried(constitution, loaded, asked.judge, drawn)
        yield f"{len(rows)} pairs of answers to {len({row.prompt for row in rows})} prompts"
        if skipped:
            yield f"{skipped} questions do not fit the judge and were skipped"
    yield from principles_report([one.id for one in loaded.principles], rows).lines()


def found_answers(asked: AnswersAsked) -> tuple[list[Task], list[Judgment]]:
    """Tasks of a file or a project, and what was said of them."""
    if asked.answers is not None:
        records = read_answers(asked.answers)
        tasks = [_task(n, one) for n, one in enumerate(records)]
        said = [
            judgment.model_copy(update={"task_id": task.id})
            for task, one in zip(tasks, records, strict=True)
            if not isinstance(one, Task)
            for judgment in one.judgments
        ]
        return tasks, said
    store = StoreConfig() if asked.store_url is None else StoreConfig(url=asked.store_url)
    if not store.exists:
        raise UserError(f"there is no store at {store.shown}; name it with --store")
    with Store.open(store.url) as opened:
        queue = StoreQueue(store.url, asked.project).queue(opened)
        note(opened.events, "constitution check", project=queue.project)
        tasks = list(opened.tasks(opened.task_ids(queue)).values())
        return tasks, opened.judgments(queue)


def read_answers(path: Path) -> list[Answers]:
    """The samples or judgments of a run, by an artifact or runs/x/round-1/samples; or a file of comparisons or tasks.

    Raises UserError, DataError naming file and line.
    """
    if not path.is_file():
        artifact = find_artifact(str(path))
        if artifact.kind == "samples":
            return list(read_records(artifact.file("tasks.jsonl"), Task))
        if artifact.kind == "judgments":
            return list(read_records(artifact.file("comparisons.jsonl"), Comparison))
        raise UserError(f"{path} holds {artifact.kind}; name samples, judgments, or a file of answers")
    try:
        items, _ = load_said([Source(path=path)])
    except DataError as no_comparisons:
        try:
            return list(parse_tasks(path.read_bytes(), name=str(path), project="check").tasks)
        except DataError:
            raise no_comparisons from None
    return [one for one in items if isinstance(one, Comparison | TaskRecord)]


def kept_margins(constitution: Constitution, tasks: Sequence[Task], said: Sequence[Judgment]) -> list[PairMargins]:
    """The margins that judgments by this very constitution keep in their details, pair by pair."""
    prompts = {task.id: task.prompt.id for task in tasks}
    found: dict[tuple[str, str, str], dict[str, tuple[float, float]]] = {}
    for judgment in said:
        mark = judgment.details.get("constitution")
        if not isinstance(mark, dict) or mark.get("hash") != constitution.hash[:12] or judgment.task_id not in prompts:
            continue
        for name, pairs in _by_principle(judgment).items():
            for one in pairs:
                _put(found, prompts[judgment.task_id], name, one)
    return _rows(found)


def tried(name: str, constitution: Constitution, judge: str, tasks: Sequence[Task]) -> tuple[list[PairMargins], int]:
    """The margins of every principle on every pair of the tasks, and how many questions were skipped."""
    settings = {"constitution": name, "ask": "all", "backend": backend_of(judge)}
    config = ConstitutionConfig.parse(settings, where="--judge")
    found: dict[tuple[str, str, str], dict[str, tuple[float, float]]] = {}
    skipped = 0
    compute = ComputeConfig()
    with machine(compute):
        [whole] = open_constitution(config, Backends(ModelConfig(), compute), seed=0, abstains=False).members
        assert isinstance(whole, MeanJudge)
        questions = len(tasks) * len(whole.members)
        with progress.Screen(sys.stderr).bar(f"judging by {constitution.name}", questions) as bar:
            for member in whole.members:
                for start in range(0, len(tasks), _AT_ONCE):
                    batch = tasks[start : start + _AT_ONCE]
                    for task, judgment in zip(batch, member.judge(batch), strict=True):
                        skipped += judgment.skip_reason is not None
                        for one in pairs_in(judgment):
                            _put(found, task.prompt.id, member.principle.id, one)
                    bar.advance(len(batch))
    return _rows(found), skipped


def backend_of(judge: str) -> dict[str, Any]:
    """The settings of a backend: of a YAML with them, of "module:function", else of a model."""
    if judge.endswith((".yaml", ".yml")):
        path = Path(judge)
        values = read_yaml(path)
        given = {"backend": values.get("backend", values)}
        config = ConstitutionConfig.parse(given, where=judge)
        return moved(config, old=path.parent, new=Path()).backend.model_dump(mode="json")
    kind = "python" if ":" in judge else "local"
    return {"kind": kind, ("target" if kind == "python" else "path"): judge}


def _by_principle(judgment: Judgment) -> dict[str, list[PairReading]]:
    """The readings of a judgment by principle: its own, or those of each where it is by all."""
    each = judgment.details.get("principles")
    name = judgment.details.get("principle")
    if name == MEAN and isinstance(each, dict):
        return {str(n): pairs_in(judgment.model_copy(update={"details": {"pairs": p}})) for n, p in each.items()}
    return {str(name): pairs_in(judgment)}


def _put(
    found: dict[tuple[str, str, str], dict[str, tuple[float, float]]], prompt: str, name: str, one: PairReading
) -> None:
    """Keep a reading under its pair, whichever answer came first."""
    first, second = sorted((one.first, one.second))
    sign = 1 if one.first == first else -1
    found.setdefault((prompt, first, second), {})[name] = (sign * one.margin, one.mass)


def _rows(found: dict[tuple[str, str, str], dict[str, tuple[float, float]]]) -> list[PairMargins]:
    return [PairMargins(prompt, margins) for (prompt, *_), margins in found.items()]


def _task(number: int, one: Answers) -> Task:
    if isinstance(one, Task):
        return one
    if isinstance(one, TaskRecord):
        return one.task if one.task.id else one.task.model_copy(update={"id": f"row-{number}"})
    return Task(id=f"row-{number}", prompt=one.prompt, completions=one.completions)
