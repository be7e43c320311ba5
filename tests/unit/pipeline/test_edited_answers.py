"""What a rater wrote that an answer should have said: from the store to what a run's fine-tuning reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import LogOptions, Runner
from assent.core.types import Completion, Conversation, Judgment, Message, Prompt, Ranking, Rater, Task
from assent.data.config import Source
from assent.data.load import load_said
from assent.data.task_records import TaskRecord
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.commands.feedback import StoreQueue, export_feedback
from assent.pipeline.config import FileData, RunConfig
from assent.pipeline.rounds import gather_all

ASKED = Prompt(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="At how many degrees does water boil?"),
    ),
    id="water",
)


def test_an_edited_answer_is_among_the_demonstrations_that_a_run_fine_tunes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole conversation before it stays; the judgment that only edits counts as one that also ranks does."""
    monkeypatch.chdir(tmp_path)
    answers = tuple(Completion(prompt_id="water", text=text, id=text) for text in ("At 80.", "At 90."))
    edits = {"ann": {"At 80.": "At 100 °C, at sea level."}, "bob": {"At 90.": "At 100."}}
    with Store.open("sqlite:///ratings.db") as store:
        store.add_tasks([Task(id="t", prompt=ASKED, completions=answers, project="p")], slots=2, now=0)
        for rater, edit in edits.items():
            store.register_rater(Rater(id=rater, kind="person"), now=0)
            ranking = Ranking(tiers=(("At 90.",), ("At 80.",))) if rater == "ann" else None
            store.submit(Judgment(id=rater, task_id="t", rater_id=rater, ranking=ranking, edits=edit), now=1)
    said = list(export_feedback(StoreQueue("sqlite:///ratings.db", "p"), Path("edits.jsonl"), format="edits"))
    assert said[0] == "wrote 2 demonstrations as edits to edits.jsonl"
    Path("prompts.jsonl").write_text("".join(f'{{"prompt": "How warm is number {n}?"}}\n' for n in range(40)))
    data = {"kind": "files", "demonstrations": [{"path": "edits.jsonl"}], "prompts": [{"path": "prompts.jsonl"}]}
    base = save_tiny(tmp_path / "base", "llama")
    config = RunConfig.parse({"base": {"kind": "pretrained", "path": str(base)}, "data": data})
    assert isinstance(config.data, FileData)
    with Runner(Path("runs/toy"), seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        gathered = gather_all(run, config)
    learned = read_records(gathered["demonstrations"].file("demonstrations.jsonl"), Conversation)
    assert sorted((tuple(m.role for m in c.messages), c.messages[-1].content) for c in learned) == [
        (("system", "user", "assistant"), "At 100 °C, at sea level."),
        (("system", "user", "assistant"), "At 100."),
    ]


def test_the_edit_of_an_answer_that_was_rated_alone_leaves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = Completion(prompt_id="water", text="At 80.", id="a")
    scores: dict[str, dict[str, float]] = {"a": {"helpful": 1.0}}
    with Store.open("sqlite:///ratings.db") as store:
        tasks = [Task(id=i, prompt=ASKED, completions=(alone,), kind="rate", project="p") for i in ("t", "u")]
        store.add_tasks(tasks, slots=2, now=0)
        for rater in ("ann", "bob"):
            store.register_rater(Rater(id=rater, kind="person"), now=0)
        store.submit(Judgment(id="1", task_id="t", rater_id="ann", scores=scores, edits={"a": "At 100."}), now=1)
        store.submit(Judgment(id="2", task_id="t", rater_id="bob", scores=scores), now=1)
        store.submit(Judgment(id="3", task_id="u", rater_id="ann", scores=scores), now=1)
    place = StoreQueue("sqlite:///ratings.db", "p")
    assert next(iter(export_feedback(place, Path("edits.jsonl"), format="edits"))).startswith("wrote 1 demonstration ")
    assert '"At 100."' in Path("edits.jsonl").read_text()
    assert list(export_feedback(place, Path("all.jsonl"), format="assent")) == ["wrote 2 tasks as assent to all.jsonl"]
    kept = next(one for one in load_said([Source(path="all.jsonl")])[0] if isinstance(one, TaskRecord))
    assert [(c.text, c.source) for c in kept.task.completions] == [("At 80.", "")], "nothing that nobody was shown"
    assert [(j.rater_id, j.scores, j.edits) for j in kept.judgments] == [
        ("ann", scores, {"a": "At 100."}),
        ("bob", scores, {}),
    ]
