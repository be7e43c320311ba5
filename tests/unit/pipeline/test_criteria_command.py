"""`assent feedback criteria`: what it says and writes, of one project and with programs that judged in another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assent.core.errors import StoreError
from assent.core.types import Completion, Judgment, Prompt, Rater, RaterKind, Task
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.pipeline.commands.criteria import criteria_of
from assent.pipeline.commands.feedback import StoreQueue


def _scored(store: Store, project: str, rater: str, kind: RaterKind, scores: dict[int, int]) -> None:
    """One answer by m to each prompt, scored by one rater."""
    store.register_rater(Rater(id=rater, kind=kind), now=0.0)
    for n, score in scores.items():
        prompt = Prompt.of(f"question {n}")
        answer = Completion(prompt_id=prompt.id, text=f"answer {n}", id=f"a{n}", source="m")
        name = f"{project}-{n}"
        task = Task(id=name, prompt=prompt, completions=(answer,), kind="rate", project=project)
        served = store.add_task_for(rater, task, now=1.0)
        said = Judgment(task_id=name, rater_id=rater, id=name, scores={answer.id: {"helpful": score}})
        store.submit(said, token=served.token, now=2.0)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ann scores 20 of 60 answers in one project; a program scores all in another, always one point more."""
    where = f"sqlite:///{tmp_path_factory.mktemp('store')}/feedback.db"
    settings = ProjectSettings.model_validate({"criteria": [{"name": "helpful", "anchors": list("abcde")}]})
    with Store.open(where) as store:
        for project in ("asked", "programs"):
            store.projects.save(project, settings, now=0.0)
        _scored(store, "asked", "ann", "person", {n: 1 + n % 4 for n in range(20)})
        _scored(store, "programs", "lm", "autorater", {n: 2 + n % 4 for n in range(60)})
    return where


def test_lines_and_file_of_one_project(url: str, tmp_path: Path) -> None:
    lines = list(criteria_of(StoreQueue(url, "asked"), to=tmp_path / "out.json"))
    assert "people: 1 raters, 20 judgments" in lines
    assert "  helpful (1 to 5): 20 scores, 0 missing" in lines
    assert any(line.startswith("    m: 2.500 [") and line.endswith("(20 prompts)") for line in lines)
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["people"]["criteria"][0]["means"]["m"]["estimate"] == 2.5 and written["judges"] is None


def test_programs_of_another_project_are_put_right_by_people(url: str) -> None:
    lines = list(criteria_of(StoreQueue(url, "asked"), beside=["programs"], to=None))
    [line] = [line for line in lines if line.startswith("  helpful, m: ")]
    assert line.startswith("  helpful, m: 2.500 [") and "judges alone 3.500" in line and "20 of 60 labelled" in line


def test_bad_names_and_empty_projects_are_said(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no project 'nowhere'"):
        list(criteria_of(StoreQueue(url, "asked"), beside=["nowhere"], to=tmp_path / "out.json"))
    assert not (tmp_path / "out.json").exists()
    with Store.open(url) as store:
        store.projects.save("empty", ProjectSettings(), now=0.0)
        assert store.judgments(Queue("empty")) == []
    assert list(criteria_of(StoreQueue(url, "empty"), to=None)) == [
        "nobody has scored an answer in project empty (reward)"
    ]
