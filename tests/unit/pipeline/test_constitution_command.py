"""`assent constitution check`: on a file, on answers, on a project; bad files end with code 2 and one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from assent.artifacts.jsonl import write_records
from assent.core.errors import UserError
from assent.core.types import Completion, Prompt, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.config import ModelConfig
from assent.pipeline.autoraters import open_constitution
from assent.pipeline.backends import Backends
from assent.pipeline.commands.constitution import AnswersAsked, backend_of, check
from assent.pipeline.config import ComputeConfig
from assent.raters.config import ConstitutionConfig

HERE = "test_constitution_command"
JUDGE = f"{HERE}:judge"


def judge(principle: str, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """long against short, wordy with long, and one that never minds."""
    sign = {"long": 1, "wordy": 1, "short": -1, "mute": 0}[principle]
    return [float(sign * len(answer)) for answer in answers]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ids = ("long", "wordy", "short", "mute")
    principles = [{"id": n, "critique": f"{n}?", "revision": f"{n}!", "preference": f"{n}."} for n in ids]
    Path("own.yaml").write_text(yaml.safe_dump({"name": "own", "version": "1", "principles": principles}))


def tasks() -> list[Task]:
    made = []
    for n in range(90):
        prompt = Prompt.of(f"Question {n}?")
        texts = ("a" * (3 + n % 5), "b" * (9 + n % 7))
        answers = tuple(Completion(prompt_id=prompt.id, text=t, id=f"{n}-{k}") for k, t in enumerate(texts))
        made.append(Task(id=f"t{n}", prompt=prompt, completions=answers))
    return made


def findings(lines: list[str]) -> list[str]:
    heads = ("conflict:", "never fires:", "the same twice:", "no two principles")
    return [line.partition(" (")[0] for line in lines if line.startswith(heads)]


FOUND = [
    "conflict: long and short prefer opposite answers",
    "conflict: wordy and short prefer opposite answers",
    "never fires: mute",
    "the same twice: long and wordy",
]


def test_answers_of_a_file_show_what_conflicts_what_is_silent_and_what_is_double() -> None:
    write_records(Path("tasks.jsonl"), tasks())
    lines = list(check("own.yaml", AnswersAsked(answers=Path("tasks.jsonl"), judge=JUDGE)))
    assert findings(lines) == FOUND and any("90 pairs of answers to 90 prompts" in line for line in lines)
    rows = [{"prompt": t.prompt.text, "answers": [c.text for c in t.completions], "ranking": "1 > 2"} for t in tasks()]
    Path("ranked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = list(check("own.yaml", AnswersAsked(answers=Path("ranked.jsonl"), judge=JUDGE, most=40)))
    assert "40 of 90 tasks are tried, drawn at random (--most)" in lines and findings(lines)[:2] == FOUND[:2]


def test_a_project_shows_what_was_judged_by_all_principles_before() -> None:
    given = {"constitution": "own.yaml", "ask": "all", "backend": {"kind": "python", "target": JUDGE}}
    panel = open_constitution(ConstitutionConfig.parse(given), Backends(ModelConfig(), ComputeConfig()), seed=0)
    queue = Queue("talk")
    made = [task.model_copy(update={"project": "talk"}) for task in tasks()]
    with Store.open("sqlite:///feedback.db") as store:
        store.register_rater(panel.members[0].record, now=0)
        store.add_tasks(made, now=0)
        claims = {c.task.id: c.token for c in store.claim(panel.members[0].record.id, queue, limit=90, now=1)}
        store.submit_all([(one, claims[one.task_id]) for one in panel.members[0].judge(made)], now=2)
    lines = list(check("own.yaml", AnswersAsked(project="talk")))
    assert findings(lines) == FOUND and "from what was judged by it before: 90 pairs" in lines
    with pytest.raises(UserError, match=r"nobody has judged these 90 tasks by lab .* say who shall: --judge"):
        list(check("lab", AnswersAsked(project="talk")))


def test_without_answers_the_file_alone_is_checked_and_what_is_missing_is_said() -> None:
    assert "was not tried" in list(check("own.yaml", AnswersAsked()))[-1]
    with pytest.raises(UserError, match="not both"):
        list(check("own.yaml", AnswersAsked(project="a", answers=Path("b"))))
    with pytest.raises(UserError, match="no store at"):
        list(check("own.yaml", AnswersAsked(project="a")))
    Path("bad.yaml").write_text("name: bad\nversion: '1'\nprinciples: []\n")
    with pytest.raises(UserError) as error:
        list(check("bad.yaml", AnswersAsked()))
    assert error.value.exit_code == 2 and "bad.yaml: principles" in str(error.value)


def test_a_judge_is_a_program_a_model_or_a_file_of_settings_whose_paths_are_its_own() -> None:
    assert backend_of("m:f") == {"kind": "python", "target": "m:f"}
    assert backend_of("models/judge") == {"kind": "local", "path": "models/judge"}
    Path("sub/judge").mkdir(parents=True)
    Path("sub/judge/config.json").write_text("{}")
    Path("sub/judge.yaml").write_text("backend: {kind: local, path: ./judge}\n")
    assert backend_of("sub/judge.yaml") == {"kind": "local", "path": "sub/judge"}
